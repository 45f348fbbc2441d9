package doctor

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"melon/upstream"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// Page says how reports are printed.
type Page struct {
	Lang    string // "en" or "ja"
	Time    time.Time
	Version string // of Melon; may be ""
}

// WriteHTML writes the reports as one page that needs nothing else: no script, no
// request to anywhere. It is for people at a front desk, on a screen or on paper.
// Whatever a server said is text in it.
func WriteHTML(w io.Writer, reports []Report, p Page) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("the report's page: %w", err)
	}
	texts := pageTexts(p.Lang)
	sum := sha256.Sum256([]byte(pageCSS))
	view := pageView{
		Lang: "en", Time: p.Time.Format("2006-01-02 15:04 MST"), Version: p.Version, Text: texts,
		Style: template.CSS(pageCSS), StyleHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
	}
	if japanese(p.Lang) {
		view.Lang = "ja"
	}
	for _, r := range reports {
		v := reportView{Report: r, OK: r.Verdict == upstream.ClassOK, Picture: draw(r.Verdict, texts), Desk: texts.desk[r.Verdict]}
		for _, c := range r.Checks {
			v.Checks = append(v.Checks, checkView{c, c.Status.Mark()})
		}
		view.Reports = append(view.Reports, v)
	}
	return t.Execute(w, view)
}

// Mark is the status as one character.
func (s Status) Mark() string {
	switch s {
	case StatusOK:
		return "✓"
	case StatusWarn:
		return "!"
	case StatusFail:
		return "✗"
	}
	return "–"
}

func japanese(lang string) bool { return strings.HasPrefix(strings.ToLower(lang), "ja") }

type pageView struct {
	Lang, Time, Version string
	Text                pageText
	Style               template.CSS
	StyleHash           string
	Reports             []reportView
}

type reportView struct {
	Report
	OK      bool
	Picture picture
	Desk    string
	Checks  []checkView
}

type checkView struct {
	Check
	Mark string
}

// picture is the way of a message: app, Melon, network, provider.
type picture struct {
	Label string
	Nodes []node
	Links []link
	Mark  *mark
}

type node struct {
	Name      string
	X, Middle int
	Class     string
}

type link struct {
	From, To int
	Class    string
}

type mark struct {
	X, Y  int
	Cross string
	TextX int
	Text  string
}

// spot is where the way is broken: the nodes are even and the links between them
// odd, from the left; -1 is nowhere.
type spot int

const (
	spotNone     spot = -1
	spotMelon    spot = 2
	spotLink     spot = 3
	spotWay      spot = 5
	spotProvider spot = 6
)

// where says what a verdict is about.
func where(class upstream.Class) spot {
	switch class {
	case upstream.ClassOK:
		return spotNone
	case upstream.ClassClockWrong:
		return spotMelon
	case upstream.ClassOffline:
		return spotLink
	case upstream.ClassCaptivePortal, upstream.ClassDNSFailure, upstream.ClassDNSHijacked, upstream.ClassVPNRoute,
		upstream.ClassPortBlocked, upstream.ClassSMTPIntercepted, upstream.ClassStartTLSStripped,
		upstream.ClassServerUnreachable, upstream.ClassCertificateInvalid:
		return spotWay
	}
	return spotProvider
}

// The picture's measures.
const (
	nodeWidth = 120
	nodeStep  = 196
	nodeFirst = 6
	lineY     = 60
)

// draw makes the picture for a verdict: what lies beyond the break is not known.
func draw(class upstream.Class, t pageText) picture {
	broken := where(class)
	var p picture
	for i, name := range t.nodes {
		n := node{Name: name, X: nodeFirst + i*nodeStep, Middle: nodeFirst + i*nodeStep + nodeWidth/2, Class: "good"}
		if spot(2*i) == broken {
			n.Class = "broken"
			p.Mark = newMark(n.X+nodeWidth-6, 34, n.Middle, t.broken)
		}
		p.Nodes = append(p.Nodes, n)
		if i == len(t.nodes)-1 {
			break
		}
		l := link{From: n.X + nodeWidth, To: n.X + nodeStep, Class: "good"}
		switch at := spot(2*i + 1); {
		case at == broken:
			l.Class = "broken"
			p.Mark = newMark((l.From+l.To)/2, lineY, (l.From+l.To)/2, t.broken)
		case broken != spotNone && at > broken:
			l.Class = "unknown"
		}
		p.Links = append(p.Links, l)
	}
	p.Label = strings.Join(t.nodes[:], " → ")
	if broken != spotNone {
		p.Label += ": " + t.broken + " (" + t.spots[broken] + ")"
	}
	return p
}

func newMark(x, y, textX int, text string) *mark {
	const arm = 7
	return &mark{
		X: x, Y: y, TextX: min(textX, 660), Text: text,
		Cross: fmt.Sprintf("M%d %dL%d %dM%d %dL%d %d", x-arm, y-arm, x+arm, y+arm, x+arm, y-arm, x-arm, y+arm),
	}
}

// pageText is the page's own words.
type pageText struct {
	Title, Made, Account, ToDo, ForDesk, Checks, Class, Foot string

	nodes  [4]string
	broken string
	spots  map[spot]string
	desk   map[upstream.Class]string
}

// pageTexts returns the words of a language.
func pageTexts(lang string) pageText {
	if japanese(lang) {
		return pageText{
			Title: "メール送信の診断結果", Made: "作成", Account: "アカウント", ToDo: "対処の方法（上から順に）",
			ForDesk: "施設・ネットワークの担当の方へ", Checks: "確認した項目", Class: "分類",
			Foot:   "この診断ではメールを送信していません。パスワードは含まれていません。",
			nodes:  [4]string{"メールソフト", "Melon", "ネットワーク", "プロバイダー"},
			broken: "ここで止まっています",
			spots:  map[spot]string{spotMelon: "このパソコン", spotLink: "パソコンとネットワークの間", spotWay: "ネットワークとプロバイダーの間", spotProvider: "プロバイダー"},
			desk: map[upstream.Class]string{
				upstream.ClassCaptivePortal:    "お客様のパソコンは、このネットワークの利用手続きが済んでいないようです。手続きページの開き方とアクセスコードをご案内ください。",
				upstream.ClassDNSFailure:       "お客様のパソコンから、サーバーの名前を調べること（DNS）ができません。ネットワーク機器のDNSの設定をご確認ください。",
				upstream.ClassDNSHijacked:      "このネットワークのDNSが、メールサーバーについて偽のアドレスを返しています。DNSの設定をご確認ください。",
				upstream.ClassPortBlocked:      "お客様のメール送信がこのネットワークで遮断されています。外向きのTCPポート587と465（認証付きのメール送信用）の許可をご検討ください。",
				upstream.ClassSMTPIntercepted:  "このネットワークがお客様のメール送信を別のサーバーに転送しています。ポート587と465は転送の対象から外してください。",
				upstream.ClassStartTLSStripped: "このネットワークの機器が、メールの暗号化（STARTTLS）を取り除いています。SMTPの検査機能を無効にしてください。",
				upstream.ClassOffline:          "お客様のパソコンがネットワークにつながっていません。接続方法をご案内ください。",
			},
		}
	}
	return pageText{
		Title: "Why mail can or cannot be sent from here", Made: "Made", Account: "Account", ToDo: "What to do, in this order",
		ForDesk: "For the staff who run this network", Checks: "What was checked", Class: "Class",
		Foot:   "No message was sent for this report, and it holds no password.",
		nodes:  [4]string{"Mail app", "Melon", "Network", "Provider"},
		broken: "it stops here",
		spots:  map[spot]string{spotMelon: "this computer", spotLink: "between computer and network", spotWay: "between network and provider", spotProvider: "the provider"},
		desk: map[upstream.Class]string{
			upstream.ClassCaptivePortal:    "The guest's computer has not signed in to this network yet. Please show how to open the sign-in page, and give the access code.",
			upstream.ClassDNSFailure:       "The guest's computer cannot look up names of servers (DNS) here. Please check the name server that this network gives out.",
			upstream.ClassDNSHijacked:      "The name server of this network gives a false address for the guest's mail server. Please check its settings.",
			upstream.ClassPortBlocked:      "This network blocks the guest's outgoing mail. Please consider allowing outgoing TCP ports 587 and 465, which are for sending mail with a login.",
			upstream.ClassSMTPIntercepted:  "This network leads the guest's outgoing mail to another server. Please exempt ports 587 and 465.",
			upstream.ClassStartTLSStripped: "A device of this network removes the encryption (STARTTLS) from outgoing mail. Please switch its SMTP inspection off.",
			upstream.ClassOffline:          "The guest's computer is not connected. Please show how to join the network.",
		},
	}
}
