package auth

import (
	"fmt"
	"net/http"
)

// page is which of the three pages the browser ends on.
type page int

const (
	pageDone   page = iota // signed in
	pageFailed             // it came back without success
	pageStray              // not the request that was waited for
)

// pageText returns title and text. Nothing of the request is ever in it.
func pageText(lang string, p page) (title, text string) {
	if lang == "ja" {
		switch p {
		case pageDone:
			return "サインインしました", "Melon はこのアカウントでメールを送れるようになりました。このページは閉じてかまいません。"
		case pageFailed:
			return "サインインできませんでした", "理由は Melon に表示されています。このページを閉じて、Melon からもう一度お試しください。"
		}
		return "無効なページです", "このサインインは終了したか、Melon が始めたものではありません。このページは閉じてかまいません。"
	}
	switch p {
	case pageDone:
		return "Signed in", "Melon can now send mail for this account. You can close this page."
	case pageFailed:
		return "Not signed in", "Melon shows the reason. You can close this page and start again from Melon."
	}
	return "Nothing to do here", "This sign-in is over, or Melon did not start it. You can close this page."
}

// writePage answers the browser. The address holds a spent code, so it goes to
// no cache and no referrer.
func writePage(w http.ResponseWriter, status int, lang string, p page) {
	if lang != "ja" {
		lang = "en"
	}
	title, text := pageText(lang, p)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html>
<html lang="%s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Melon: %s</title>
<style>body{font:1.1em/1.6 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em;color-scheme:light dark}</style>
</head><body><h1>%s</h1><p>%s</p></body></html>
`, lang, title, title, text)
}
