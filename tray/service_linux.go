package tray

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startService starts Melon's unit where `melon autostart on` made one and a
// user manager runs, so that there is one supervisor and not two.
func startService(ctx context.Context) error {
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	if _, err := os.Stat(filepath.Join(runtime, "systemd", "private")); runtime == "" || err != nil {
		return errors.New("no user manager")
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(config, "systemd", "user", "melon.service")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "systemctl", "--user", "start", "melon.service").Run()
}
