package config

import (
	"errors"
	"strings"
)

// Flags are the global flags that say where things are; "" where not given.
type Flags struct {
	Config string // --config FILE
	State  string // --state DIR
}

// Paths says where things are. Nothing of it needs to exist yet.
type Paths struct {
	Config string // the configuration file
	// ConfigGiven is true when the person named the file: it must then exist.
	ConfigGiven bool
	State       string // outbox, history, learned facts, own certificate
	Socket      string // of the control API
}

// PathsFor applies the XDG Base Directory Specification (Linux and other
// Unixes) or the platform's own directories (goos "darwin", "windows") to an
// environment. getenv returns "" for what is not set. It looks at no file.
//
// The control socket is in the runtime directory, or in the state directory
// when one is given (or the platform has no runtime directory), so that two
// instances with two state directories never meet.
func PathsFor(goos string, getenv func(string) string, flags Flags) (Paths, error) {
	config, state, runtime, err := baseDirs(goos, getenv)
	if err != nil && (flags.Config == "" || flags.State == "") {
		return Paths{}, err
	}
	p := Paths{Config: flags.Config, ConfigGiven: flags.Config != "", State: flags.State}
	if p.Config == "" {
		p.Config = join(goos, config, "config.yaml")
	}
	if p.State == "" {
		p.State = state
	}
	if flags.State != "" || runtime == "" {
		runtime = p.State
	}
	p.Socket = join(goos, runtime, "control.sock")
	return p, nil
}

// baseDirs returns Melon's directories for configuration, state and run time;
// the last is "" where the platform has none.
func baseDirs(goos string, getenv func(string) string) (config, state, runtime string, err error) {
	switch goos {
	case "windows":
		roaming, local := getenv("APPDATA"), getenv("LOCALAPPDATA")
		if roaming == "" || local == "" {
			return "", "", "", errors.New("APPDATA or LOCALAPPDATA is not set: give --config FILE and --state DIR")
		}
		return join(goos, roaming, "Melon"), join(goos, local, "Melon"), "", nil
	case "darwin":
		home := getenv("HOME")
		if home == "" {
			return "", "", "", errNoHome
		}
		dir := join(goos, home, "Library", "Application Support", "Melon")
		return dir, join(goos, dir, "state"), "", nil
	}
	xdg := func(variable string, under ...string) string {
		// A relative path is to be ignored, says the specification.
		if dir := getenv(variable); strings.HasPrefix(dir, "/") {
			return join(goos, dir, "melon")
		}
		if home := getenv("HOME"); home != "" && len(under) > 0 {
			return join(goos, append(append([]string{home}, under...), "melon")...)
		}
		return ""
	}
	config = xdg("XDG_CONFIG_HOME", ".config")
	state = xdg("XDG_STATE_HOME", ".local", "state")
	if config == "" || state == "" {
		return "", "", "", errNoHome
	}
	return config, state, xdg("XDG_RUNTIME_DIR"), nil
}

var errNoHome = errors.New("HOME is not set: give --config FILE and --state DIR")

// join is filepath.Join for another system than this one.
func join(goos string, elem ...string) string {
	sep := "/"
	if goos == "windows" {
		sep = `\`
	}
	for i, e := range elem {
		if i < len(elem)-1 {
			elem[i] = strings.TrimRight(e, sep)
		}
	}
	return strings.Join(elem, sep)
}
