package tray

import "strings"

// Language is the one that the desktop is in: "en" or "ja".
func Language(getenv func(string) string) string {
	for _, v := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if s := getenv(v); s != "" {
			return known(s)
		}
	}
	return known(systemLanguage())
}

// known is the catalogue for a locale such as ja_JP.UTF-8 or ja-JP.
func known(locale string) string {
	if strings.HasPrefix(strings.ToLower(locale), "ja") {
		return "ja"
	}
	return "en"
}
