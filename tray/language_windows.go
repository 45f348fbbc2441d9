package tray

import "golang.org/x/sys/windows"

// systemLanguage is the first language of the user's desktop, "" when unknown.
func systemLanguage() string {
	names, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0]
}
