package outbox

// words are the texts of a bounce in one language.
type words struct {
	subject  string
	opening  string
	expired  string
	maybe    string // the last reply to an earlier attempt was lost
	closing  string // with the entry's ID
	encoding string // Content-Transfer-Encoding that suits the script
}

// wordsFor returns the texts for "ja", and English ones for anything else.
func wordsFor(language string) words {
	if language == "ja" {
		return words{
			subject:  "メールを届けられませんでした",
			opening:  "Melonです。次の宛先にメールを届けられませんでした。",
			expired:  "期限まで繰り返し送信しましたが、届きませんでした。",
			maybe:    "ただし、以前の送信で届いている可能性があります。",
			closing:  "このメールは送信箱に残っています（%s）。Melonの送信箱から、もう一度送るか、削除してください。",
			encoding: "base64",
		}
	}
	return words{
		subject:  "Your message could not be delivered",
		opening:  "This is Melon. Your message could not be delivered to:",
		expired:  "It was tried again and again until its time was up.",
		maybe:    "An earlier attempt may have arrived all the same: the provider's answer to it was lost.",
		closing:  "The message is still in your outbox as %s: send it again from there, or remove it.",
		encoding: "quoted-printable",
	}
}
