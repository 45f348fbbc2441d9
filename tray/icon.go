package tray

import (
	"runtime"

	"melon/packaging/icons"
)

// Frames is how many pictures the moving icon has.
const Frames = icons.Frames

// picture is an icon as the platform's library wants it. The slices are made
// once and never change: a library may keep pointing at them.
type picture struct {
	regular  []byte // PNG; ICO on Windows
	template []byte // black, for macOS; PNG
}

// iconSize is in pixels: enough for a panel of a screen with many.
const iconSize = 64

// pictures draws every icon, by frame.
func pictures() map[Icon][]picture { return picturesFor(runtime.GOOS) }

func picturesFor(goos string) map[Icon][]picture {
	all := map[Icon][]picture{}
	for _, i := range Icons() {
		for _, p := range icons.Status(string(i)) {
			all[i] = append(all[i], encode(goos, p))
		}
	}
	return all
}

// encode cannot fail: the images are small and the writer is memory.
func encode(goos string, p icons.Picture) (out picture) {
	out.template, _ = icons.PNG(p.Template(iconSize))
	if goos == "windows" {
		out.regular, _ = p.ICO(16, 20, 24, 32, 48)
	} else {
		out.regular, _ = icons.PNG(p.Draw(iconSize))
	}
	return out
}
