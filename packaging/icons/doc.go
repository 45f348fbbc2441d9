// Package icons draws Melon's icons, in Go and from one description, for the
// tray (packages know it as status icons) and for the packages (the app icon).
//
// A Picture is a solid shape minus cuts, on a square of 64 units. Cuts are holes,
// so a picture keeps its shape in any colour: on light and dark panels, as a
// macOS template, for eyes that do not tell red from green. Each state has a
// shape of its own:
//
//	idle       a melon with its net
//	sending    a melon with an arrow that rises through it (Frames of it)
//	waiting    a melon with three dots
//	attention  a triangle with an exclamation mark
//	offline    a ring with a slash
//	paused     a melon with two bars
//
// `go run ./packaging/icons/export` writes the files that the packages ship; a
// test fails when they are not current.
package icons
