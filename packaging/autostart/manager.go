package autostart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The methods, as State.Method names them.
const (
	MethodSystemd     = "systemd"
	MethodXDG         = "xdg"
	MethodLaunchAgent = "launchagent"
	MethodRunKey      = "run-key"
)

// State is what stands.
type State struct {
	Enabled          bool     `json:"enabled"`
	Method           string   `json:"method"` // what this platform has, whether or not enabled
	Melon            string   `json:"melon,omitempty"`
	Tray             string   `json:"tray,omitempty"`
	SocketActivation bool     `json:"socket_activation"`
	Files            []string `json:"files"`
	// Problem says in a sentence why a login will not start Melon although it is
	// enabled.
	Problem string `json:"problem,omitempty"`
}

// Values is the Run key of the registry.
type Values interface {
	Get(name string) (value string, ok bool, err error)
	Set(name, value string) error
	Delete(name string) error // of one that is not there is no error
}

// Manager changes what starts at login.
type Manager struct {
	Method string
	Config string // ~/.config or where it is, for systemd and XDG
	Home   string // for LaunchAgents
	Values Values // the Run key
	// Reload makes a user manager read its units again; may be nil.
	Reload func(ctx context.Context) error
}

// ErrNotOurs says that a file of that name is somebody else's.
var ErrNotOurs = errors.New("it was not written by `melon autostart`; move it away")

// System is the Manager of this system and user.
func System(getenv func(string) string) (Manager, error) {
	m := Manager{Home: getenv("HOME"), Config: getenv("XDG_CONFIG_HOME")}
	switch runtime.GOOS {
	case "windows":
		m.Method, m.Values = MethodRunKey, systemValues()
		return m, nil
	case "darwin":
		m.Method = MethodLaunchAgent
	default:
		m.Method = MethodXDG
		if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
			if _, err := os.Stat(filepath.Join(dir, "systemd", "private")); err == nil {
				m.Method, m.Reload = MethodSystemd, daemonReload
			}
		}
	}
	if !filepath.IsAbs(m.Config) { // a relative one is to be ignored (XDG Base Directory Specification)
		m.Config = filepath.Join(m.Home, ".config")
	}
	if m.Home == "" && !filepath.IsAbs(getenv("XDG_CONFIG_HOME")) {
		return m, errors.New("HOME is not set")
	}
	return m, nil
}

func daemonReload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "systemctl", "--user", "daemon-reload").CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl --user daemon-reload: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// file is a file or, with link, a symbolic link.
type file struct{ path, content, link string }

// files is what the plan comes to; for the zero Plan nothing, and all is then
// what any plan could come to.
func (m Manager) files(p Plan) (want []file, all []string) {
	units, autostart := filepath.Join(m.Config, "systemd", "user"), filepath.Join(m.Config, "autostart")
	unit := func(on bool, name, target, content string) {
		path, link := filepath.Join(units, name), filepath.Join(units, target+".wants", name)
		all = append(all, link, path)
		if on {
			want = append(want, file{path: path, content: content})
			if content != "" && strings.Contains(content, "[Install]") {
				want = append(want, file{path: link, link: filepath.Join("..", name)})
			}
		}
	}
	plain := func(on bool, path, content string) {
		all = append(all, path)
		if on {
			want = append(want, file{path: path, content: content})
		}
	}
	systemd, xdg, agents := m.Method == MethodSystemd, m.Method == MethodXDG, filepath.Join(m.Home, "Library", "LaunchAgents")
	melon, tray := p.Melon != "", p.Tray != ""
	if m.Method == MethodLaunchAgent {
		plain(melon, filepath.Join(agents, labelMelon+".plist"), p.AgentMelon())
		plain(tray, filepath.Join(agents, labelTray+".plist"), p.AgentTray())
		return want, all
	}
	unit(systemd && melon, unitService, "default.target", p.Service())
	unit(systemd && melon && len(p.Listen) > 0, unitSocket, "sockets.target", p.Socket())
	unit(systemd && tray, unitTray, "graphical-session.target", p.TrayService())
	plain(xdg && melon, filepath.Join(autostart, "melon.desktop"), p.DesktopMelon())
	plain((xdg || systemd) && tray, filepath.Join(autostart, "melon-tray.desktop"), p.DesktopTray(systemd))
	return want, all
}

// On makes the plan stand, in place of any other of ours. It reports whether
// anything changed.
func (m Manager) On(ctx context.Context, p Plan) (changed bool, err error) {
	if p.Melon == "" || !filepath.IsAbs(p.Melon) || p.Tray != "" && !filepath.IsAbs(p.Tray) {
		return false, errors.New("autostart needs the program's absolute path")
	}
	if len(p.Listen) > 0 && m.Method != MethodSystemd {
		return false, errors.New("socket activation needs a systemd user manager, which does not run here")
	}
	if m.Method == MethodRunKey {
		return m.setRunKey(p.RunKey())
	}
	for _, path := range []string{p.Melon, p.Tray} {
		// systemd takes no program of such a name, and its generator for desktop
		// entries does not find it.
		if m.Method != MethodLaunchAgent && strings.ContainsAny(path, "'\"\\%$`\n\t") {
			return false, fmt.Errorf("systemd cannot start a program with quotes, backslashes, %% or $ in its path: %s; move it elsewhere", path)
		}
	}
	return m.apply(ctx, p)
}

// Off removes everything of ours.
func (m Manager) Off(ctx context.Context) (changed bool, err error) {
	if m.Method == MethodRunKey {
		_, ok, err := m.Values.Get(runKeyName)
		if err != nil || !ok {
			return false, err
		}
		return true, m.Values.Delete(runKeyName)
	}
	return m.apply(ctx, Plan{})
}

func (m Manager) setRunKey(line string) (bool, error) {
	old, ok, err := m.Values.Get(runKeyName)
	if err != nil || ok && old == line {
		return false, err
	}
	return true, m.Values.Set(runKeyName, line)
}

// apply makes the files those of the plan. Nothing is touched when one of them
// is somebody else's.
func (m Manager) apply(ctx context.Context, p Plan) (changed bool, err error) {
	want, all := m.files(p)
	for _, path := range all {
		if err := foreign(path); err != nil {
			return false, err
		}
	}
	for _, f := range want {
		c, err := f.write()
		if err != nil {
			return changed, err
		}
		changed = changed || c
	}
	for _, path := range all {
		if slices.ContainsFunc(want, func(f file) bool { return f.path == path }) {
			continue
		}
		switch err := os.Remove(path); {
		case err == nil:
			changed = true
		case !errors.Is(err, fs.ErrNotExist):
			return changed, err
		}
	}
	if changed && m.Reload != nil {
		return changed, m.Reload(ctx)
	}
	return changed, nil
}

// foreign reports an error for a file that is there and not ours. A link into
// our units' directory is.
func foreign(path string) error {
	if to, err := os.Readlink(path); err == nil {
		if filepath.Base(to) == filepath.Base(path) {
			return nil
		}
		return fmt.Errorf("%s: %w", path, ErrNotOurs)
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if _, ours := readPlan(string(b)); !ours {
		return fmt.Errorf("%s: %w", path, ErrNotOurs)
	}
	return nil
}

// write makes the file what it should be, at once and whole.
func (f file) write() (changed bool, err error) {
	if f.link != "" {
		if to, err := os.Readlink(f.path); err == nil && to == f.link {
			return false, nil
		}
	} else if b, err := os.ReadFile(f.path); err == nil && string(b) == f.content {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return false, err
	}
	temp := f.path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if f.link != "" {
		err = os.Symlink(f.link, temp)
	} else {
		err = os.WriteFile(temp, []byte(f.content), 0o644)
	}
	if err != nil {
		return false, err
	}
	return true, os.Rename(temp, f.path)
}

// Status says what stands.
func (m Manager) Status() (State, error) {
	s := State{Method: m.Method, Files: []string{}}
	p, ok, err := m.plan(&s)
	if err != nil || !ok {
		return s, err
	}
	s.Enabled, s.Melon, s.Tray, s.SocketActivation = true, p.Melon, p.Tray, len(p.Listen) > 0
	for _, program := range []string{p.Melon, p.Tray} {
		if program != "" && !exists(program) {
			s.Problem = fmt.Sprintf("%s is gone; run: melon autostart on", program)
		}
	}
	return s, nil
}

// plan reads back what was planned, and notes the files that stand.
func (m Manager) plan(s *State) (p Plan, ok bool, err error) {
	if m.Method == MethodRunKey {
		line, ok, err := m.Values.Get(runKeyName)
		if err != nil || !ok {
			return p, false, err
		}
		words := splitWindows(line)
		if len(words) == 0 {
			return p, false, nil
		}
		s.Files = append(s.Files, `HKCU\Software\Microsoft\Windows\CurrentVersion\Run\`+runKeyName)
		if last := len(words) - 1; last > 0 && words[last] == "run" {
			return Plan{Melon: words[0], Flags: words[1:last]}, true, nil
		}
		return Plan{Tray: words[0], Flags: words[1:]}, true, nil
	}
	_, all := m.files(Plan{})
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return p, ok, err
		}
		if found, ours := readPlan(string(b)); ours {
			s.Files = append(s.Files, path)
			if found.Melon != "" {
				p, ok = found, true
			}
		}
	}
	return p, ok, nil
}

// Follow points an entry of ours whose program is gone, as after an update that
// moved it, to this one. It reports whether it did.
func (m Manager) Follow(ctx context.Context, self string) (bool, error) {
	p, ok, err := m.plan(&State{})
	if err != nil || !ok {
		return false, err
	}
	stale := p.Melon != "" && !exists(p.Melon) || p.Tray != "" && !exists(p.Tray)
	if !stale {
		return false, nil
	}
	if p.Melon == "" || !exists(p.Melon) {
		p.Melon = self
	}
	if p.Tray != "" && !exists(p.Tray) {
		p.Tray = Beside(self, "melon-tray")
	}
	return m.On(ctx, p)
}

func exists(program string) bool {
	fi, err := os.Stat(program)
	return err == nil && !fi.IsDir()
}
