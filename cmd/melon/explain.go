package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"melon/upstream"
	"melon/upstream/reply"
)

// explained is one line of `melon explain --json`.
type explained struct {
	Class   upstream.Class `json:"class"`
	Summary string         `json:"summary"`
	Advice  []string       `json:"advice"`
	Retry   string         `json:"retry"`
}

func explain(phase upstream.Phase, text, lang string) explained {
	class := reply.ClassifyText(phase, text)
	x := reply.Explain(class, lang)
	return explained{class, x.Summary, x.Advice, string(x.Retry)}
}

func (c *cli) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain [--phase PHASE] [REPLY]",
		Long: `Says what a server's reply means, and what to do first. Paste the text of your
mail app's error box as it is. Without REPLY, reads lines PHASE<TAB>REPLY from
standard input and answers each with a line.

Phases: ` + phaseList(),
		Example: `  melon explain "550 5.7.1 Relaying denied"
  melon explain --phase pop-pass "-ERR [IN-USE] mailbox locked"`,
		Args: cobra.ArbitraryArgs,
	}
	phase := cmd.Flags().String("phase", "", "the step in which the server said it")
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(_ *cobra.Command, args []string) error {
		if *phase != "" && !upstream.Phase(*phase).Valid() {
			return &failure{exitUsage, fmt.Errorf("--phase %s: write one of %s", *phase, phaseList())}
		}
		if len(args) == 0 {
			return c.explainLines(*phase, *asJSON)
		}
		x := explain(upstream.Phase(*phase), strings.Join(args, " "), c.explainLanguage())
		if *asJSON {
			return c.printJSON(x)
		}
		return c.printExplained(x)
	})
	return cmd
}

// maxReplyLine bounds a line of standard input, in octets.
const maxReplyLine = 64 << 10

// explainLines answers each line PHASE<TAB>REPLY of standard input with one. A
// line without a tab is a reply whose phase is the flag's, or unknown.
func (c *cli) explainLines(phase string, asJSON bool) error {
	lang := c.explainLanguage()
	in := bufio.NewScanner(c.stdin)
	in.Buffer(make([]byte, 4096), maxReplyLine)
	out := bufio.NewWriter(c.stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		p, text, ok := strings.Cut(in.Text(), "\t")
		if !ok || !upstream.Phase(strings.TrimSpace(p)).Valid() {
			p, text = phase, in.Text()
		}
		x := explain(upstream.Phase(strings.TrimSpace(p)), text, lang)
		if asJSON {
			if err := enc.Encode(x); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", x.Class, x.Summary); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return out.Flush()
}

func (c *cli) printExplained(x explained) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", x.Summary)
	for i, a := range x.Advice {
		fmt.Fprintf(&b, "%d. %s\n", i+1, a)
	}
	fmt.Fprintf(&b, "\n(%s; retry: %s)\n", x.Class, x.Retry)
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

func phaseList() string {
	var names []string
	for _, p := range upstream.Phases() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
