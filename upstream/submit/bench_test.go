package submit

import (
	"bufio"
	"strings"
	"testing"
)

// BenchmarkReply is one reply, read and made fit to be shown.
func BenchmarkReply(b *testing.B) {
	const text = "250-2.0.0 Ok: queued as 4711\r\n250 2.0.0 and done\r\n"
	in := strings.NewReader("")
	br := bufio.NewReader(in)
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(text)
		r, err := lineReader{br}.readReply()
		if err != nil || r.clean().Code != 250 {
			b.Fatal(r, err)
		}
	}
}
