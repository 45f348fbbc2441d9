package reply

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"melon/upstream"
)

// labelled is one line of a file of replies whose class is known. alt is a
// second class that is right as well, "" for none.
type labelled struct {
	phase      upstream.Phase
	text       string
	class, alt upstream.Class
	line       int
}

// The files of labelled replies. In dev, field and fresh the last column names
// the software or list that a text comes from; in own "typical wording" marks
// texts that were composed after the manner of such servers. The lines of fresh
// came in batches; each was labelled and measured before the rules knew it.
// Those of fresh2 to fresh11 came later in the same way, without the lines known
// by then, so that they are the hard part of what was drawn: the rules of their
// time read 0.776, 0.835, 0.678, -, 0.72, 0.776, 0.838, 0.776, 0.708 and 0.798
// of them. The lines of fresh5, and the 26 of NetEase at the end of fresh6, were
// in view while the rules still changed; fresh7 to fresh9 are lists of one kind
// (Exchange, bounce sorters, small POP servers), fresh10 is what filters and
// plugins say, fresh11 what people report from their programs.
//
// blind1 and blind2 are held out: drawn from mail logs and reports as they come,
// with lines that were known, labelled, and measured once with these rules,
// whose maker has not seen which lines they miss: 0.933 and 0.902, and of their
// lines that were new 0.931 (72) and 0.867 (90). Whoever changes rules for the
// sake of one of their lines must draw others.
const (
	devFile     = "testdata/replies-dev.tsv"
	ownFile     = "testdata/replies-own.tsv"
	fieldFile   = "testdata/replies-field.tsv"
	freshFile   = "testdata/replies-fresh.tsv"
	fresh2File  = "testdata/replies-fresh2.tsv"
	fresh3File  = "testdata/replies-fresh3.tsv"
	fresh4File  = "testdata/replies-fresh4.tsv"
	fresh5File  = "testdata/replies-fresh5.tsv"
	fresh6File  = "testdata/replies-fresh6.tsv"
	fresh7File  = "testdata/replies-fresh7.tsv"
	fresh8File  = "testdata/replies-fresh8.tsv"
	fresh9File  = "testdata/replies-fresh9.tsv"
	fresh10File = "testdata/replies-fresh10.tsv"
	fresh11File = "testdata/replies-fresh11.tsv"
	blind1File  = "testdata/replies-blind1.tsv"
	blind2File  = "testdata/replies-blind2.tsv"
)

// labelledFiles are all of them, and the share of exact classes that must be
// reached in each.
var labelledFiles = []struct {
	name  string
	floor float64
}{
	{devFile, 0.98}, {ownFile, 0.97}, {fieldFile, 0.88}, {freshFile, 0.94}, {fresh2File, 0.90}, {fresh3File, 0.90}, {fresh4File, 0.90}, {fresh5File, 0.90},
	{fresh6File, 0.90}, {fresh7File, 0.89}, {fresh8File, 0.90}, {fresh9File, 0.90},
	{fresh10File, 0.85}, {fresh11File, 0.90},
	{blind1File, 0.92}, {blind2File, 0.89},
}

func readLabelled(tb testing.TB, name string) []labelled {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []labelled
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		p := strings.Split(sc.Text(), "\t")
		if n == 1 {
			continue
		}
		if len(p) != 5 {
			tb.Fatalf("%s:%d: %d columns", name, n, len(p))
		}
		out = append(out, labelled{upstream.Phase(p[0]), p[1], upstream.Class(p[2]), upstream.Class(p[3]), n})
	}
	return out
}

// score is how many replies of a class were recognised.
type score struct{ right, second, all int }

func (s score) share() float64 { return float64(s.right) / float64(max(s.all, 1)) }

// measure classifies every line of the files, through shape, and returns the
// total, the score per class and the confusions.
func measure(tb testing.TB, lines []labelled, shape func(labelled) (upstream.Phase, string)) (score, map[upstream.Class]score, []string) {
	tb.Helper()
	total, classes, confused := score{}, map[upstream.Class]score{}, []string{}
	for _, l := range lines {
		phase, text := shape(l)
		got := ClassifyText(phase, text)
		c := classes[l.class]
		c.all++
		total.all++
		switch got {
		case l.class:
			c.right++
			total.right++
		case l.alt:
			c.second++
			total.second++
			fallthrough
		default:
			confused = append(confused, fmt.Sprintf("%s <- %s: %s %s", l.class, got, l.phase, l.text))
		}
		classes[l.class] = c
	}
	sort.Strings(confused)
	return total, classes, confused
}

func asIs(l labelled) (upstream.Phase, string) { return l.phase, l.text }

// TestAccuracy prints how many labelled replies are recognised, and which are
// not, and holds what other rooms rely on.
func TestAccuracy(t *testing.T) {
	t.Parallel()
	for _, tt := range labelledFiles {
		total, classes, confused := measure(t, readLabelled(t, tt.name), asIs)
		t.Logf("%s: %d of %d exact (%.3f), %d more as the second class", tt.name, total.right, total.all, total.share(), total.second)
		if len(confused) > 0 {
			t.Logf("confusions (right <- taken for):\n%s", strings.Join(confused, "\n"))
		}
		if total.share() < tt.floor {
			t.Errorf("%s: accuracy %.3f, want at least %.2f", tt.name, total.share(), tt.floor)
		}
		if tt.name != devFile && tt.name != ownFile {
			continue
		}
		for _, c := range []upstream.Class{upstream.ClassPOPBeforeSMTPRequired, upstream.ClassAuthRequired, upstream.ClassCredentialsRejected} {
			if got := classes[c].share(); got < 0.95 {
				t.Errorf("%s: %s: accuracy %.3f, want at least 0.95", tt.name, c, got)
			}
		}
		for _, c := range upstream.ReplyClasses() {
			if classes[c].right == 0 {
				t.Errorf("%s: no reply is recognised as %s", tt.name, c)
			}
		}
	}
}

// TestAccuracyInBoxes holds that what mail apps put around a reply, and how
// they wrap it, changes its class hardly ever.
func TestAccuracyInBoxes(t *testing.T) {
	t.Parallel()
	lines := readLabelled(t, devFile)
	for name, tt := range map[string]struct {
		overall float64
		shape   func(labelled) (upstream.Phase, string)
	}{
		"no phase": {0.95, func(l labelled) (upstream.Phase, string) { return "", l.text }},
		"quoted":   {0.97, func(l labelled) (upstream.Phase, string) { return l.phase, "\"" + l.text + "\"" }},
		"wrapped": {0.97, func(l labelled) (upstream.Phase, string) {
			words := strings.Fields(l.text)
			for i := 5; i < len(words); i += 6 {
				words[i] = "\n   " + words[i]
			}
			return l.phase, strings.Join(words, " ")
		}},
		"upper case": {0.95, func(l labelled) (upstream.Phase, string) { return l.phase, strings.ToUpper(l.text) }},
		"Thunderbird": {0.97, func(l labelled) (upstream.Phase, string) {
			return l.phase, "An error occurred while sending mail. The mail server responded:  " + l.text +
				".\n Please check the message recipient \"user@example.com\" and try again."
		}},
		"Outlook Express": {0.95, func(l labelled) (upstream.Phase, string) {
			return l.phase, "The message could not be sent because one of the recipients was rejected by the server. The rejected e-mail address was 'user@example.com'. " +
				"Subject 'password', Account: 'spam.example', Server: 'smtp.example.com', Protocol: SMTP, Server Response: '" + l.text +
				"', Port: 25, Secure(SSL): No, Server Error: 550, Error Number: 0x800CCC79"
		}},
		"Outlook Express, Japanese": {0.95, func(l labelled) (upstream.Phase, string) {
			return l.phase, "受信者の 1 人がサーバーによって拒否されたため、メッセージを送信できませんでした。 件名 'パスワード', アカウント : 'mbp.example.com', サーバー : 'mbp.example.com', " +
				"プロトコル : SMTP, サーバーの応答 : '" + l.text + "', ポート : 25, セキュリティ (SSL): なし, サーバー エラー : 554, エラー番号 : 0x800CCC79"
		}},
		"bounce": {0.97, func(l labelled) (upstream.Phase, string) {
			return l.phase, "<user@example.com>: host mx.example.com[192.0.2.1] said: " + l.text
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total, _, confused := measure(t, lines, tt.shape)
			t.Logf("%.3f of %d", total.share(), total.all)
			if total.share() < tt.overall {
				t.Errorf("accuracy %.3f, want at least %.2f:\n%s", total.share(), tt.overall, strings.Join(confused, "\n"))
			}
		})
	}
}

// TestClassifyKeepsToThePhase holds what the kinds of failure rest on: a 4yz
// reply never blames the password, and the POP classes belong to POP.
func TestClassifyKeepsToThePhase(t *testing.T) {
	t.Parallel()
	var all []labelled
	for _, f := range labelledFiles {
		all = append(all, readLabelled(t, f.name)...)
	}
	for _, l := range all {
		r := Parse(l.text)
		isPOP := strings.HasPrefix(r.Text(), "-ERR")
		if r.Code/100 == 5 {
			r.Code -= 100
			r.Enhanced = upstream.EnhancedCode{}
		}
		for _, phase := range append(upstream.Phases(), "", "nonsense") {
			got := Classify(phase, r)
			if isPOPClass(got) && !isPOP && !phase.IsPOP() {
				t.Errorf("%s %q is %s", phase, l.text, got)
			}
			if r.Temporary() && !phase.IsPOP() && got == upstream.ClassCredentialsRejected {
				t.Errorf("%s %q (as 4yz) is %s", phase, l.text, got)
			}
		}
	}
}

func isPOPClass(c upstream.Class) bool {
	return strings.HasPrefix(string(c), "pop-") && c != upstream.ClassPOPBeforeSMTPRequired
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		phase upstream.Phase
		text  string
		want  upstream.Class
	}{
		{"an address misleads nobody", upstream.PhaseRcpt, "550 5.1.1 <password.rejected@pop.spam.example>: User unknown", upstream.ClassRecipientUnknown},
		{"nor does a host", upstream.PhaseRcpt, "550 5.1.1 greylist.pop.example said no such user", upstream.ClassRecipientUnknown},
		{"nor a URL", upstream.PhaseRcpt, "550 5.1.1 User unknown, see https://spam.example/authentication/required", upstream.ClassRecipientUnknown},
		{"full-width letters", upstream.PhaseRcpt, "５５０ 5.1.1 Ｕｓｅｒ ｕｎｋｎｏｗｎ", upstream.ClassRecipientUnknown},
		{"half-width kana", upstream.PhaseAuth, "535 ﾊﾟｽﾜｰﾄﾞが違います", upstream.ClassCredentialsRejected},
		{"accents", upstream.PhaseMail, "530 Authentification requise (réessayez)", upstream.ClassAuthRequired},
		{"the same words, another phase: AUTH", upstream.PhaseAuth, "550 Access denied", upstream.ClassCredentialsRejected},
		{"the same words, another phase: greeting", upstream.PhaseConnect, "550 Access denied", upstream.ClassSenderIPBlocklisted},
		{"the same words, temporary", upstream.PhaseAuth, "454 4.7.0 authentication failed", upstream.ClassTemporaryLocalProblem},
		{"login first, then relaying", upstream.PhaseRcpt, "550 5.7.1 Relaying denied. Authentication required.", upstream.ClassAuthRequired},
		{"POP first, then login", upstream.PhaseRcpt, "550 relay not permitted, check your mail with POP3 first or use SMTP AUTH", upstream.ClassPOPBeforeSMTPRequired},
		{"no words, 5.2.2", upstream.PhaseRcpt, "550 5.2.2", upstream.ClassMailboxFull},
		{"no words, 5.1.1", upstream.PhaseRcpt, "550 5.1.1", upstream.ClassRecipientUnknown},
		{"no words, 4yz", upstream.PhaseRcpt, "451", upstream.ClassTemporaryLocalProblem},
		{"no words at all", upstream.PhaseRcpt, "", upstream.ClassOther},
		{"an unknown refusal of PASS is not repeated", upstream.PhasePOPPass, "-ERR no", upstream.ClassPOPCredentialsRejected},
		{"an unknown refusal before PASS blames no password", upstream.PhasePOPUser, "-ERR no", upstream.ClassOther},
		{"the sender's domain or the recipient's", upstream.PhaseRcpt, "550 5.7.1 neither <taro@a.example> nor <jiro@b.example> is in a domain that we relay for", upstream.ClassSenderDomainRestricted},
		{"POP words in any phase", upstream.PhaseMail, "-ERR [IN-USE] locked", upstream.ClassPOPMailboxInUse},
		{"a bounce tells its phase", "", "SMTP error from remote mail server after MAIL FROM:<a@b.example>: host x [192.0.2.1]: 550 5.7.1 Rejected", upstream.ClassSenderDomainRestricted},
		{"a code without its first half", upstream.PhaseRcpt, "5.7.1 <user@example.com>: Relay access denied", upstream.ClassRelayDeniedIP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := ClassifyText(tt.phase, tt.text); got != tt.want {
				t.Errorf("ClassifyText(%s, %q) = %s, want %s", tt.phase, tt.text, got, tt.want)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for _, l := range readLabelled(f, devFile) {
		f.Add(string(l.phase), l.text)
	}
	f.Add("", "550-5.7.1 a\n550 5.7.1 b 'c' 「d」\x00\xff")
	f.Fuzz(func(t *testing.T, phase, text string) {
		r := Parse(text)
		if len(r.Lines) > maxLines {
			t.Errorf("%d lines", len(r.Lines))
		}
		for _, l := range r.Lines {
			if l != upstream.CleanLine(l) || strings.ContainsAny(l, "\r\n\x00") {
				t.Errorf("line %q is not clean", l)
			}
		}
		if r.Code != 0 && (r.Code < 200 || r.Code > 599) {
			t.Errorf("code %d", r.Code)
		}
		for _, c := range []upstream.Class{ClassifyText(upstream.Phase(phase), text), Classify(upstream.Phase(phase), r)} {
			if !replyClass(c) {
				t.Errorf("class %q", c)
			}
		}
	})
}

func replyClass(c upstream.Class) bool {
	for _, known := range upstream.ReplyClasses() {
		if c == known {
			return true
		}
	}
	return false
}

func BenchmarkClassify(b *testing.B) {
	lines := readLabelled(b, devFile)
	replies := make([]upstream.Reply, len(lines))
	for i, l := range lines {
		replies[i] = Parse(l.text)
	}
	Classify("", upstream.Reply{}) // compiles the table
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Classify(lines[i%len(lines)].phase, replies[i%len(lines)])
	}
}

func BenchmarkClassifyTextLongest(b *testing.B) {
	text := strings.Repeat("550-5.7.1 sender mailbox relay denied spam quota ", MaxText/48)
	b.ReportAllocs()
	for b.Loop() {
		ClassifyText("", text)
	}
}
