package man

import (
	"fmt"
	"strings"
	"time"
)

// page is a manual page under construction (man(7)).
type page struct {
	b     strings.Builder
	fresh bool // a heading was the last
}

// newPage begins a page.
func newPage(name string, section int, o Options) *page {
	p := &page{}
	fmt.Fprintf(&p.b, ".\\\" Made by melon manual from the program itself.\n.TH %s %d %s %s %s\n.nh\n.ad l\n",
		quote(strings.ToUpper(name)), section, o.Date.UTC().Format(time.DateOnly), quote("Melon "+o.Version), quote("Melon"))
	return p
}

// quote makes a macro's argument of s.
func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// escape writes a text so that roff shows it as it is.
func escape(s string) string {
	s = strings.NewReplacer("\t", "        ", `\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func (p *page) section(title string) {
	fmt.Fprintf(&p.b, ".SH %s\n", quote(title))
	p.fresh = true
}

// paragraph begins one.
func (p *page) paragraph() {
	if !p.fresh {
		p.b.WriteString(".PP\n")
	}
	p.fresh = false
}

// item is a term with its text beside it.
func (p *page) item(term, text string) {
	p.fresh = false
	fmt.Fprintf(&p.b, ".TP\n\\fB%s\\fR\n%s\n", escape(term), escape(text))
}

func (p *page) line(s string) {
	p.fresh = false
	fmt.Fprintf(&p.b, "%s\n", escape(s))
}

// verbatim shows lines as they are.
func (p *page) verbatim(text string) {
	p.paragraph()
	p.b.WriteString(".nf\n")
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		fmt.Fprintf(&p.b, "%s\n", escape(strings.TrimRight(line, "\n")))
	}
	p.b.WriteString(".fi\n")
}

// text shows paragraphs as the help writes them: one with aligned or indented
// lines stays as it is, another is filled.
func (p *page) text(text string) {
	for para := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if aligned(para) {
			p.verbatim(para)
			continue
		}
		p.paragraph()
		for line := range strings.Lines(para) {
			p.line(strings.TrimRight(line, "\n"))
		}
	}
}

func aligned(para string) bool {
	for line := range strings.Lines(para) {
		if strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t") || strings.Contains(strings.TrimSpace(line), "  ") {
			return true
		}
	}
	return false
}

func (p *page) bytes() []byte { return []byte(p.b.String()) }
