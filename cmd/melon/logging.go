package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lmittmann/tint"

	"melon/proxy/config"
)

// levelTrace shows both conversations, line by line, with secrets masked.
const levelTrace = slog.LevelDebug - 4

// levels are the values of log.level and --log-level.
var levels = map[string]slog.Level{
	"trace": levelTrace, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn": slog.LevelWarn, "error": slog.LevelError,
}

// openLog returns the logger that the configuration asks for and the file to
// close, which is nil when it writes to standard error. One line an event: time,
// level, message, key=value.
func openLog(cfg config.Log, level *slog.LevelVar, stderr io.Writer) (*slog.Logger, io.Closer, error) {
	w, closer := stderr, io.Closer(nil)
	if cfg.File != "" {
		if err := os.MkdirAll(filepath.Dir(cfg.File), 0o700); err != nil {
			return nil, nil, err
		}
		f, err := os.OpenFile(cfg.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("log.file: %w", err)
		}
		w, closer = f, f
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: time.RFC3339,
		NoColor:    true,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey && len(groups) == 0 {
				if l, ok := a.Value.Any().(slog.Level); ok {
					return slog.String(slog.LevelKey, levelName(l))
				}
			}
			return a
		},
	})), closer, nil
}

func levelName(l slog.Level) string {
	for name, v := range levels {
		if v == l {
			return name
		}
	}
	return l.String()
}
