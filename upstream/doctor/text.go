package doctor

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"melon/upstream"
	"melon/upstream/reply"
)

// phrase is one sentence in every language, with the verbs of package fmt. What
// goes into it is cleaned when the check is written.
type phrase struct{ en, ja string }

// say fills a phrase in the language of the report.
func (x *examination) say(p phrase, args ...any) string {
	text := p.en
	if strings.HasPrefix(strings.ToLower(x.o.Lang), "ja") {
		text = p.ja
	}
	return fmt.Sprintf(text, args...)
}

// sayFault is a failure: the server's words, or else what happened. Japanese
// names the class, as the sentences of errors are English.
func (x *examination) sayFault(e *upstream.Error) string {
	host := e.Host
	if host == "" {
		host = x.o.Account.SMTP.Host
	}
	switch {
	case !e.Reply.IsZero():
		return x.say(sayRefused, host, shown(e.Reply.String()))
	case strings.HasPrefix(strings.ToLower(x.o.Lang), "ja"):
		return host + ": " + reply.Explain(x.classOf(e), "ja").Summary
	case e.Sentence != "":
		return e.Sentence
	}
	return host + ": " + reply.Explain(e.Class, "en").Summary
}

// reason is why an HTTP request failed, in a word.
func (x *examination) reason(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errAddress):
		return x.say(sayReasonAddress)
	case errors.As(err, &dns):
		return x.say(sayReasonName)
	case errors.As(err, &timeout) && timeout.Timeout():
		return x.say(sayReasonSilence)
	}
	return x.say(sayReasonBroken)
}

// The sentences of the checks. Each is a whole column entry for a translator.
var (
	sayOnline         = phrase{"Connected by %s.", "%s で接続しています。"}
	sayOffline        = phrase{"This computer has no route to the Internet.", "このパソコンはインターネットにつながっていません。"}
	sayNetworkUnknown = phrase{"The system does not tell how it is connected (%v).", "接続の状態を調べられませんでした（%v）。"}

	sayProbeOff      = phrase{"Not asked for.", "確認しない設定です。"}
	sayProbeOffline  = phrase{"Not tried, as there is no network.", "ネットワークにつながっていないため、確認していません。"}
	sayProbeSilent   = phrase{"%s does not answer (%s), so a sign-in page can neither be seen nor ruled out.", "%s から応答がありません（%s）。手続きページの有無は分かりません。"}
	sayProbeOdd      = phrase{"%s answered with status %d, which says nothing.", "%s の応答（ステータス%d）からは判断できません。"}
	sayNoPortal      = phrase{"No sign-in page: %s answers as it should.", "手続きページはありません。%s は正しく応答しています。"}
	sayPortal        = phrase{"This network answers web requests itself (status %d) and leads to %s.", "このネットワークはウェブの通信に自ら応答し（ステータス%d）、%s に転送しています。"}
	sayPortalPage    = phrase{"This network answers with a page of its own in place of %s.", "%s の代わりに、このネットワーク自身のページが返されました。"}
	sayReasonAddress = phrase{"not an http or https address", "http・httpsのアドレスではありません"}
	sayReasonName    = phrase{"its name cannot be looked up", "名前を調べられません"}
	sayReasonSilence = phrase{"silence", "応答なし"}
	sayReasonBroken  = phrase{"the connection failed", "接続できません"}

	sayOptionUnknown = phrase{"The system keeps no announcement of a sign-in page (RFC 8910), or does not show it.", "手続きページの通知（RFC 8910）は、このシステムからは得られません。"}
	sayOptionFree    = phrase{"The network announces that it needs no sign-in.", "手続きは不要であると、ネットワークが通知しています。"}
	sayOptionSilent  = phrase{"The network announces a sign-in service (%s) that does not answer.", "ネットワークが通知した手続きサービス（%s）が応答しません。"}
	sayOptionCaptive = phrase{"The network says that a sign-in is needed: %s", "手続きが必要であると、ネットワークが通知しています: %s"}
	sayOptionOpen    = phrase{"The network says that the sign-in is done.", "手続きは済んでいると、ネットワークが通知しています。"}

	sayDNSLiteral = phrase{"An address is configured (%v); no name to look up.", "アドレス（%v）が設定されているため、名前の確認は不要です。"}
	sayDNSFound   = phrase{"%s is at %s.", "%s のアドレスは %s です。"}
	sayDNSPrivate = phrase{"%s is said to be at %s, an address that no provider on the Internet has.", "%s のアドレスが %s と返されました。インターネット上のプロバイダーのものではありません。"}
	sayDNSNone    = phrase{"There is no server named %s, or this network does not know it.", "%s という名前のサーバーは見つかりません。"}
	sayDNSSilent  = phrase{"The name server of this network did not answer when asked for %s.", "このネットワークのネームサーバーが、%s の問い合わせに応答しません。"}
	sayDNSFailed  = phrase{"The name server of this network could not say where %s is.", "このネットワークのネームサーバーで、%s を調べられませんでした。"}
	sayDNSSame    = phrase{"%s and a name that nobody has lead to the same address (%s): the answers are made up.", "%s と、存在しない名前とが同じアドレス（%s）を返しました。偽の応答です。"}
	sayDNSInvents = phrase{"This network makes up an address (%s) for names that do not exist.", "このネットワークは、存在しない名前にもアドレス（%s）を返します。"}
	sayDNSHonest  = phrase{"A name that nobody has is not found, as it should be.", "存在しない名前は、正しく「なし」と返されます。"}

	sayClockUntold      = phrase{"This computer's clock says %s; nobody told another time to compare.", "このパソコンの時計は %s です。比べられる時刻は得られませんでした。"}
	sayClockRight       = phrase{"This computer's clock says %s and agrees with %s.", "このパソコンの時計は %s で、%s と合っています。"}
	sayClockOff         = phrase{"This computer's clock says %s; by %s it is %s.", "このパソコンの時計は %s です。%s と比べると%s。"}
	sayClockCertificate = phrase{"This computer's clock says %s, which does not fit the server's certificate.", "このパソコンの時計は %s ですが、サーバーの証明書の期間と合いません。"}
	saySlow             = phrase{"%d %s slow", "%d%s遅れています"}
	sayFast             = phrase{"%d %s fast", "%d%s進んでいます"}
	sayMinutes          = phrase{"minutes", "分"}
	sayHours            = phrase{"hours", "時間"}
	sayDays             = phrase{"days", "日"}

	sayVPNSplit   = phrase{"POP leaves by %s and SMTP by %s: a VPN takes a part of the way.", "POPは %s、SMTPは %s を通ります。VPNが通信の一部だけを運んでいます。"}
	sayVPNAll     = phrase{"The way to the mail server leads through a VPN: %s.", "メールサーバーへの通信はVPN（%s）を通ります。"}
	sayVPNNone    = phrase{"No VPN on the way; mail leaves by %s.", "VPNは通りません。メールは %s から出ます。"}
	sayVPNUnknown = phrase{"The way to the server is not known, or it is this computer.", "サーバーへの経路が分からないか、サーバーがこのパソコン自身です。"}

	sayPortTLS   = phrase{"%s answers: %s (encrypted, %s)", "%s が応答しました: %s（暗号化 %s）"}
	sayPortClear = phrase{"%s answers: %s (not encrypted)", "%s が応答しました: %s（暗号化なし）"}
	sayPortSaid  = phrase{"It said: %s", "応答: %s"}
	sayRefused   = phrase{"%s said: %s", "%s の応答: %s"}

	sayIdentityProven   = phrase{"The server proved by its certificate that it is %s.", "証明書により、サーバーが %s であることを確認できました。"}
	sayIdentityNameless = phrase{"%s does not say who it is.", "%s は名前を名乗っていません。"}
	sayIdentityFits     = phrase{"The server calls itself %s, which fits the account.", "サーバーは %s と名乗っており、アカウントと合っています。"}
	sayIdentityVouched  = phrase{"The server calls itself %s, a name that belongs to its address %s.", "サーバーは %s と名乗っており、そのアドレス %s の名前です。"}
	sayIdentityStrange  = phrase{"A stranger answers: the server calls itself %s where %s should be.", "別のサーバーが応答しています。%s と名乗っていますが、%[2]s のはずです。"}

	sayTLSOffered         = phrase{"%s offers encryption.", "%s は暗号化に対応しています。"}
	sayTLSUnused          = phrase{"%s offers encryption, but the account's security setting is none.", "%s は暗号化に対応していますが、設定で使わないことになっています。"}
	sayTLSMissing         = phrase{"%s offers no encryption.", "%s は暗号化に対応していません。"}
	sayCertificateNone    = phrase{"No certificate was shown.", "証明書は提示されませんでした。"}
	sayCertificateIgnored = phrase{"Not verified: the account's trust.insecure is set.", "設定（trust.insecure）により確認していません。"}
	sayCertificateGood    = phrase{"Valid for %s, issued by %s, until %s.", "%s の証明書は有効です（発行者 %s、期限 %s）。"}

	sayNotReached   = phrase{"Not tried, as the server was not reached.", "サーバーに届かないため、試していません。"}
	sayNoPassword   = phrase{"Not tried: no password is given to a stranger (%s).", "別のサーバー（%s）にパスワードは渡せないため、試していません。"}
	sayHeld         = phrase{"Not tried: the password was refused before, and another try could lock the account.", "以前にパスワードが拒否されているため、ロックを避けて試していません。"}
	sayPOPLogin     = phrase{"Logged in to %s (%s).", "%s にログインできました（%s）。"}
	saySMTPLogin    = phrase{"Logged in to %s (%s).", "%s にログインできました（%s）。"}
	sayNoLogin      = phrase{"No login on sending, as the account or the server has it.", "送信時のログインはありません。"}
	sayRelayUntried = phrase{"Not tried, as the step before failed.", "前の段階で失敗したため、試していません。"}

	sayRelayOpen      = phrase{"The provider would take mail for %s: %s", "%s あてのメールを受け付ける状態です: %s"}
	sayRelayOpened    = phrase{"The relay opened after the POP login; the provider would take mail for %s: %s", "POPログインのあと、送信できるようになりました。%s あてのメールを受け付けます: %s"}
	sayRelayAfterPOP  = phrase{"After the POP login the relay is open; the provider would take mail for %s: %s", "POPログインのあと、送信できる状態です。%s あてのメールを受け付けます: %s"}
	sayRelayStillShut = phrase{"The POP login did not open the relay. %s", "POPログインをしても送信は許可されませんでした。%s"}
	sayAddressSame    = phrase{"POP and SMTP leave by the same address, %s.", "POPとSMTPは同じアドレス（%s）から出ています。"}
	sayAddressDiffers = phrase{"POP leaves by %s and SMTP by %s; a relay that opens by the POP login may stay shut.", "POPは %s、SMTPは %s から出ており、POPログインで送信が許可されないことがあります。"}

	sayNoAccount       = phrase{"The network looks fine; no account is set up yet.", "ネットワークに問題は見つかりません。アカウントはまだ設定されていません。"}
	sayNoAccountUnsure = phrase{"Nothing speaks against the network; no account is set up yet.", "ネットワークの問題は見当たりません。アカウントはまだ設定されていません。"}
	sayAddAccount      = phrase{"Add an account with: melon account add ADDRESS", "アカウントを追加してください: melon account add ADDRESS"}
	sayWebmail         = phrase{"If it is urgent, send the mail from your provider's webmail page.", "お急ぎの場合は、プロバイダーのウェブメールからお送りください。"}

	adviseSignIn = phrase{"Open %s in your browser and sign in there.", "ブラウザーで %s を開き、手続きをしてください。"}
	adviseClock  = phrase{"Set this computer's clock: it is %s.", "パソコンの時計を合わせてください（%s）。"}
	adviseSplit  = phrase{"Switch the VPN off, or have it take both: POP leaves by %s and SMTP by %s.", "VPNを切るか、両方がVPNを通るようにしてください（POPは %s、SMTPは %s）。"}
	advisePort   = phrase{"Port %d of the same server answers from here with a valid certificate: set it as the account's SMTP port, or set the port to 0.", "同じサーバーのポート%dはここから使えます。アカウントのSMTPポートをこの番号か0にしてください。"}
	adviseForce  = phrase{"Once the password is corrected, run melon doctor again with --force, or just send.", "パスワードを直したら、「melon doctor --force」で再確認するか、そのまま送信してください。"}
)
