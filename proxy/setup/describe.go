package setup

import (
	"fmt"
	"strings"

	"melon/upstream"
	"melon/upstream/discover"
	"melon/upstream/doctor"
	"melon/upstream/reply"
)

// DescribeServer is a server for people.
func DescribeServer(s upstream.Server) string {
	port := "the usual ports"
	if s.Port != 0 {
		port = fmt.Sprintf("port %d", s.Port)
	}
	how := map[upstream.Security]string{
		upstream.SecurityTLS: "TLS", upstream.SecurityStartTLS: "STARTTLS", upstream.SecurityNone: "not encrypted",
		upstream.SecurityAuto: "encrypted as the server offers it",
	}[s.Security]
	return fmt.Sprintf("%s, %s, %s", s.Host, port, how)
}

// DescribeCandidate shows a candidate's settings.
func DescribeCandidate(c discover.Candidate) string {
	var b strings.Builder
	if c.SMTP.Host != "" {
		fmt.Fprintf(&b, "  sending    %s\n", DescribeServer(c.SMTP))
	}
	if c.POP.Host != "" {
		fmt.Fprintf(&b, "  POP        %s\n", DescribeServer(c.POP))
	}
	if c.Username != "" {
		fmt.Fprintf(&b, "  login      %s\n", c.Username)
	}
	if len(c.Logins) > 0 {
		fmt.Fprintf(&b, "  by         %s\n", loginWords(c.Logins))
	}
	if c.Note != "" && c.SMTP.Host != "" {
		fmt.Fprintf(&b, "  note       %s\n", c.Note)
	}
	return b.String()
}

// loginWords says the ways in, in words.
func loginWords(l []discover.Login) string {
	words := map[discover.Login]string{
		discover.LoginPassword: "password", discover.LoginAppPassword: "app password", discover.LoginOAuth: "sign-in (OAuth 2.0)",
		discover.LoginPOP: "POP login before sending", discover.LoginNone: "no login, from the provider's own network only",
	}
	var all []string
	for _, one := range l {
		all = append(all, words[one])
	}
	return strings.Join(all, ", or ")
}

// SourceWords say where settings are known from.
func SourceWords(s discover.Source, lang string) string {
	words := map[discover.Source][2]string{
		discover.SourcePreset:     {"Melon's own table", "Melon の一覧"},
		discover.SourceAutoconfig: {"the provider's settings file", "プロバイダーの設定ファイル"},
		discover.SourceMX:         {"by the domain's mail server", "ドメインのメールサーバー"},
		discover.SourceISPDB:      {"Thunderbird's database", "Thunderbird のデータベース"},
		discover.SourceSRV:        {"the domain's DNS", "ドメインの DNS"},
		discover.SourceGuess:      {"guessed, and it answered", "推測（応答を確認済み）"},
	}[s]
	if lang == "ja" {
		return words[1]
	}
	return words[0]
}

// ForeignWords warn of servers that somebody on the way may have named.
func ForeignWords(hosts []string, lang string) string {
	if lang == "ja" {
		return strings.Join(hosts, "、") + " はこのアドレスのドメインの外にあり、いまのネットワークが偽ることもできる情報源で見つかりました。正しいと確かめてからパスワードを送ってください。"
	}
	return strings.Join(hosts, ", ") + " is outside of the address's domain, and known only from a source that the network here could have made up. Make sure that it is right before your password goes there."
}

// DescribeReport is a report for people: the steps that matter, and for a failure
// what to do; all of the steps if wanted.
func DescribeReport(r doctor.Report, all bool) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if all && c.Status != doctor.StatusSkip || c.Status == doctor.StatusFail || c.Status == doctor.StatusOK && strings.Contains(c.Name, "login") {
			fmt.Fprintf(&b, "  %-4s %-12s %s\n", c.Status, c.Name, c.Detail)
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict, r.Summary)
	if r.Verdict != upstream.ClassOK {
		for _, line := range r.Advice {
			fmt.Fprintf(&b, "  → %s\n", line)
		}
	}
	return b.String()
}

// describeRefusal is a failed sending for people.
func describeRefusal(e *upstream.Error, lang string) string {
	var b strings.Builder
	x := reply.Explain(e.Class, lang)
	if !e.Reply.IsZero() {
		fmt.Fprintf(&b, "The server said: %s\n", e.Reply)
	} else if e.Sentence != "" {
		fmt.Fprintln(&b, e.Sentence)
	}
	fmt.Fprintf(&b, "%s: %s\n", e.Class, x.Summary)
	for _, line := range x.Advice {
		fmt.Fprintf(&b, "  → %s\n", line)
	}
	return b.String()
}
