// Package man makes the manual pages: melon(1) and one page a command from the
// command tree, melon.yaml(5) from the table of settings in settings.go, and
// melon-tray(1). `melon manual DIR` writes them.
//
// The pages are roff of our own making and not that of cobra's generator, which
// runs texts through Markdown: the aligned tables of the help would be poured
// into paragraphs.
package man
