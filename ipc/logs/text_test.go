package logs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain\n", "plain\n"},
		{"tab\there", "tab\there"},
		{"größe 日本 👩‍💻", "größe 日本 👩‍💻"},
		{"\x1b[1;31mred\x1b[0m and \x1b[38;5;200mpink\x1b[m\n", "red and pink\n"},
		{"\x1b]8;;https://example.org/ü\x1b\\link\x1b]8;;\x1b\\\n", "link\n"},
		{"\x1b]0;title\a$ ", "$ "},
		{"\x1b[2K\x1b[1Gdone\n", "done\n"},
		{"\x1b(Bcharset\x1b=\n", "charset\n"},
		{"\x1bP1$r0m\x1b\\dcs\n", "dcs\n"},
		{"unfinished \x1b[3", "unfinished "},
		{"unfinished \x1b]0;title", "unfinished "},
		{"windows\r\n", "windows\n"},
		{"  0%\r 50%\r100%\n", "100%\n"},
		{"  0%\r 50%\r100%\r", "100%"},
		{"\r\r\n", "\n"},
		{"\x00\x01\x7f\x1f", "␀␁␡␟"},
		{"latin1 \xe9\x9b31m", "latin1 \uFFFD\uFFFD31m"},
		{"c1 \u009b31m, override \u202egnp", "c1 \uFFFD31m, override \uFFFDgnp"},
		{"bell\a backspace\b", "bell␇ backspace␈"},
	}
	for _, tt := range tests {
		if got := string(Plain([]byte(tt.in))); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b]8;;x\x1b\\\r\n\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		got := Plain(b)
		if !bytes.Equal(b, before) {
			t.Error("the argument has changed")
		}
		if !utf8.Valid(got) || bytes.ContainsAny(bytes.TrimSuffix(got, []byte("\n")), "\x1b\r\x00\b\a") {
			t.Errorf("%q: %q", b, got)
		}
		if !bytes.Contains(b[:max(0, len(b)-1)], []byte("\n")) && !bytes.Equal(Plain(got), got) {
			t.Errorf("%q: %q and again %q", b, got, Plain(got))
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 64 << 20: "64.0 MiB", 1288490189: "1.2 GiB", 1 << 62: "4096.0 PiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// FuzzLines: however the bytes come, the lines are the same, and together they are the bytes.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbb\n\nlong line without end"), 5, 3)
	f.Add([]byte("éééééééééééééé\n"), 4, 1)
	f.Fuzz(func(t *testing.T, b []byte, longest, step int) {
		if longest < 4 || longest > 1000 || step < 1 || step > 1000 {
			return
		}
		read := func(step int) (out []Line) {
			l := lines{stream: "x", start: 7, max: longest}
			for part := range slices.Chunk(b, step) {
				out = append(out, l.feed(part)...)
			}
			if len(l.buf) > 0 {
				out = append(out, l.flush())
			}
			return out
		}
		var text []byte
		at := int64(7)
		for _, l := range read(step) {
			if l.Offset != at || l.End != at+int64(len(l.Text)) || len(l.Text) > longest || l.Part != (len(text) > 0 && text[len(text)-1] != '\n') {
				t.Fatalf("line %+v at %d", l, at)
			}
			if i := bytes.IndexByte(l.Text, '\n'); i >= 0 && i != len(l.Text)-1 {
				t.Fatalf("two lines in one: %q", l.Text)
			}
			at = l.End
			text = append(text, l.Text...)
		}
		if !bytes.Equal(text, b) {
			t.Fatalf("%q, want %q", text, b)
		}
	})
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte("10 2026-11-24T12:00:00Z\n20 2026-11-24T12:00:01Z\n15 2026-11-24T12:00:01Z\nx\n30 2026"))
	f.Fuzz(func(t *testing.T, b []byte) {
		last := int64(-1)
		for _, m := range parseMarks(b) {
			if m.offset <= last {
				t.Fatalf("mark %v after %d", m, last)
			}
			last = m.offset
		}
	})
}

func TestTimesOfOneStream(t *testing.T) {
	if got := parseMarks([]byte(strings.Repeat("5 2026-11-24T12:00:00Z\n", 2))); len(got) != 1 {
		t.Errorf("%d marks, want one", len(got))
	}
}
