package icons

import "fmt"

// Sizes are those of the freedesktop.org icon theme that the packages ship.
func Sizes() []int { return []int{16, 22, 24, 32, 48, 64, 128, 256} }

// Files returns what the packages ship, by path below packaging/icons/files.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{"hicolor/scalable/apps/melon.svg": App().SVG()}
	var err error
	for _, size := range Sizes() {
		name := fmt.Sprintf("hicolor/%dx%d/apps/melon.png", size, size)
		if files[name], err = PNG(App().Draw(size)); err != nil {
			return nil, err
		}
	}
	if files["melon.ico"], err = App().ICO(16, 20, 24, 32, 48, 64, 256); err != nil {
		return nil, err
	}
	if files["melon.icns"], err = App().ICNS(); err != nil {
		return nil, err
	}
	return files, nil
}
