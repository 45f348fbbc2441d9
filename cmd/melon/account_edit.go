package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"melon/proxy/config"
	"melon/upstream"
)

func (c *cli) accountEditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "edit NAME [KEY=VALUE …]",
		Long: `Changes settings in the configuration; its comments and order stay. KEY is a
setting as the file spells it:

  melon account edit home auth=pop-before-smtp pop.host=pop.provider-a.example
  melon account edit home senders='["*@work.example"]' --unset fallback
  melon account edit home --password          asks for a new password

Without KEY=VALUE and flags it opens the file in $VISUAL or $EDITOR and checks it
afterwards. A running relay takes a good configuration at once and keeps the old
one otherwise.`,
		Args: cobra.MinimumNArgs(1),
	}
	unset := cmd.Flags().StringArray("unset", nil, "take the setting `KEY` out")
	password := cmd.Flags().Bool("password", false, "ask for a new password, without echo")
	stdin := cmd.Flags().Bool("password-stdin", false, "read a new password from the first line of standard input")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		p, cfg, err := c.configured()
		if err != nil && (len(args) > 1 || len(*unset) > 0) {
			return err
		}
		if len(args) == 1 && len(*unset) == 0 && !*password && !*stdin {
			return c.openEditor(ctx, p)
		}
		if err != nil {
			return err
		}
		a, err := c.namedAccount(cfg, args[0])
		if err != nil {
			return err
		}
		fields, err := c.parseFields(args[1:], *unset)
		if err != nil {
			return &failure{exitUsage, err}
		}
		if len(fields) > 0 {
			if err := config.SetAccount(p.Config, a.Name, fields...); err != nil {
				return refused(err)
			}
		}
		if *password || *stdin {
			if err := c.newPassword(ctx, p, a.Name, *stdin); err != nil {
				return err
			}
			c.clearAttention(ctx, a.Name)
		}
		return c.reload(ctx)
	})
	return cmd
}

// parseFields reads KEY=VALUE words. Lists and secrets are written as in the
// file; a password itself is refused, as the process list shows it to everybody.
func (c *cli) parseFields(words, unset []string) ([]config.Field, error) {
	var fields []config.Field
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, c.fail(nil, "account.fields")
		}
		v, err := c.fieldValue(key, value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, config.Field{Key: key, Value: v})
	}
	for _, key := range unset {
		fields = append(fields, config.Field{Key: key})
	}
	return fields, nil
}

// fieldValue gives a value the type that its setting has.
func (c *cli) fieldValue(key, value string) (any, error) {
	last := key[strings.LastIndexByte(key, '.')+1:]
	switch last {
	case "port":
		if n, err := strconv.Atoi(value); err == nil {
			return n, nil
		}
	case "allow_plaintext", "hold", "legacy_tls", "insecure":
		if b, err := strconv.ParseBool(value); err == nil {
			return b, nil
		}
	case "senders", "fallback", "pin", "scopes":
		var list []string
		if yaml.Unmarshal([]byte(value), &list) == nil {
			return list, nil
		}
		return []string{value}, nil
	case "password", "client_secret":
		return c.secretValue(key, value)
	}
	return value, nil
}

// secretValue reads {keyring: NAME} and the like.
func (c *cli) secretValue(key, value string) (upstream.SecretRef, error) {
	var ref struct {
		Keyring string
		Command []string
		File    string
		Env     string
	}
	d := yaml.NewDecoder(strings.NewReader(value))
	d.KnownFields(true)
	if err := d.Decode(&ref); err != nil { // the cause would quote the value
		return upstream.SecretRef{}, c.fail(nil, "account.secret", key)
	}
	if ref.File != "" {
		abs, err := filepath.Abs(ref.File)
		if err != nil {
			return upstream.SecretRef{}, err
		}
		ref.File = abs
	}
	return upstream.SecretRef(ref), nil
}

// newPassword puts another password where the account's is kept.
func (c *cli) newPassword(ctx context.Context, p config.Paths, name string, stdin bool) error {
	cfg, err := c.loadConfig(p)
	if err != nil {
		return err
	}
	a, err := c.namedAccount(cfg, name)
	if err != nil {
		return err
	}
	person, _ := c.person(stdin)
	return usageFailure(c.setup(p, cfg).NewPassword(ctx, a, person))
}

// openEditor opens the configuration and checks what came out.
func (c *cli) openEditor(ctx context.Context, p config.Paths) error {
	argv := append(slices.Clone(c.editor(runtime.GOOS)), p.Config)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.ownFiles()
	if err := cmd.Run(); err != nil {
		return c.fail(err, "account.editor", argv[0], err)
	}
	if err := config.Check(p.Config); err != nil {
		return &failure{exitUsage, c.fail(err, "account.mend", err)}
	}
	return c.reload(ctx)
}
