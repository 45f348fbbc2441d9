package config

import "testing"

func TestPathsFor(t *testing.T) {
	t.Parallel()
	linux := map[string]string{"HOME": "/home/taro", "XDG_RUNTIME_DIR": "/run/user/1000"}
	for _, c := range []struct {
		name, goos string
		env        map[string]string
		flags      Flags
		want       Paths
		fails      bool
	}{
		{name: "linux", goos: "linux", env: linux, want: Paths{
			Config: "/home/taro/.config/melon/config.yaml", State: "/home/taro/.local/state/melon", Socket: "/run/user/1000/melon/control.sock"}},
		{name: "no runtime directory", goos: "freebsd", env: map[string]string{"HOME": "/home/taro/"}, want: Paths{
			Config: "/home/taro/.config/melon/config.yaml", State: "/home/taro/.local/state/melon", Socket: "/home/taro/.local/state/melon/control.sock"}},
		{name: "all set", goos: "linux", env: map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s/", "XDG_RUNTIME_DIR": "/r"}, want: Paths{
			Config: "/c/melon/config.yaml", State: "/s/melon", Socket: "/r/melon/control.sock"}},
		{name: "relative ones are ignored", goos: "linux", env: map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "s", "XDG_RUNTIME_DIR": "r"}, want: Paths{
			Config: "/h/.config/melon/config.yaml", State: "/h/.local/state/melon", Socket: "/h/.local/state/melon/control.sock"}},
		{name: "state given", goos: "linux", env: linux, flags: Flags{State: "two"}, want: Paths{
			Config: "/home/taro/.config/melon/config.yaml", State: "two", Socket: "two/control.sock"}},
		{name: "configuration given", goos: "linux", env: linux, flags: Flags{Config: "x.yaml"}, want: Paths{
			Config: "x.yaml", ConfigGiven: true, State: "/home/taro/.local/state/melon", Socket: "/run/user/1000/melon/control.sock"}},
		{name: "both given need no environment", goos: "linux", flags: Flags{Config: "/x.yaml", State: "/s"}, want: Paths{
			Config: "/x.yaml", ConfigGiven: true, State: "/s", Socket: "/s/control.sock"}},
		{name: "no home", goos: "linux", flags: Flags{State: "/s"}, fails: true},
		{name: "macOS", goos: "darwin", env: map[string]string{"HOME": "/Users/taro", "XDG_CONFIG_HOME": "/c"}, want: Paths{
			Config: "/Users/taro/Library/Application Support/Melon/config.yaml",
			State:  "/Users/taro/Library/Application Support/Melon/state",
			Socket: "/Users/taro/Library/Application Support/Melon/state/control.sock"}},
		{name: "macOS without home", goos: "darwin", fails: true},
		{name: "Windows", goos: "windows", env: map[string]string{"APPDATA": `C:\Users\taro\AppData\Roaming`, "LOCALAPPDATA": `C:\Users\taro\AppData\Local\`}, want: Paths{
			Config: `C:\Users\taro\AppData\Roaming\Melon\config.yaml`,
			State:  `C:\Users\taro\AppData\Local\Melon`,
			Socket: `C:\Users\taro\AppData\Local\Melon\control.sock`}},
		{name: "Windows without a profile", goos: "windows", fails: true},
		{name: "Windows, state given", goos: "windows", flags: Flags{State: `D:\two`, Config: `D:\c.yaml`}, want: Paths{
			Config: `D:\c.yaml`, ConfigGiven: true, State: `D:\two`, Socket: `D:\two\control.sock`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := PathsFor(c.goos, func(k string) string { return c.env[k] }, c.flags)
			if (err != nil) != c.fails || got != c.want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}
