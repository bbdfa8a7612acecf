package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func tempLog(t *testing.T) string { return filepath.Join(t.TempDir(), "stdout") }

func appendTo(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, k *Keeper, now time.Time) bool {
	t.Helper()
	grew, err := k.Check(now)
	if err != nil {
		t.Fatal(err)
	}
	return grew
}

func allocated(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return Allocated(info)
}

// pattern is n bytes that say where they are: lines of 16 bytes with their offset.
func pattern(offset, n int64) []byte {
	b := make([]byte, 0, n+16)
	for at := offset / 16 * 16; int64(len(b)) < n+16; at += 16 {
		b = fmt.Appendf(b, "%015d\n", at)
	}
	return b[offset%16:][:n]
}

func TestMarksAtMostFiveASecond(t *testing.T) {
	path := tempLog(t)
	k := NewKeeper(path, 0)
	if check(t, k, epoch) {
		t.Error("grew, and there is no file")
	}
	now := epoch
	for range 100 { // two seconds
		appendTo(t, path, []byte("1234567890"))
		if !check(t, k, now) {
			t.Fatal("did not grow")
		}
		now = now.Add(20 * time.Millisecond)
	}
	if !check(t, k, now.Add(-10*time.Millisecond)) {
		t.Error("nothing due, and the last bytes have no mark")
	}
	now = now.Add(MarkInterval)
	if check(t, k, now) {
		t.Error("something due after the last mark")
	}
	if check(t, k, now.Add(time.Hour)) {
		t.Error("something due while nothing changes")
	}
	b, err := os.ReadFile(path + TimesSuffix)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) != 11 || lines[0] != "10 2026-11-24T12:00:00Z" || lines[1] != "110 2026-11-24T12:00:00.2Z" ||
		lines[10] != "1000 2026-11-24T12:00:02.2Z" {
		t.Errorf("%d marks:\n%s", len(lines), b)
	}
	appendTo(t, path, []byte("x"))
	if err := k.Finish(now); err != nil {
		t.Fatal(err)
	}
	if got, _ := lastLine(path + TimesSuffix); got != "1001 2026-11-24T12:00:02.2Z" {
		t.Errorf("after Finish the last mark is %q", got)
	}
}

func lastLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	return lines[len(lines)-1], err
}

func TestMarksAreThinned(t *testing.T) {
	path := tempLog(t)
	k := NewKeeper(path, 0)
	now := epoch
	n := 0
	for ; n < 40_000; n++ {
		k.size++
		if err := k.mark(now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(MarkInterval)
	}
	b, err := os.ReadFile(path + TimesSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > maxTimes || len(b) < maxTimes/2 || int64(len(b)) != k.times {
		t.Errorf("times have %d bytes", len(b))
	}
	last := int64(-1)
	for line := range bytes.Lines(b) {
		m, ok := ParseMark(line[:len(line)-1])
		if !ok || m.Offset <= last || !m.Time.Equal(epoch.Add(time.Duration(m.Offset-1)*MarkInterval)) {
			t.Fatalf("mark %q after offset %d", line, last)
		}
		last = m.Offset
	}
	if last != int64(n) {
		t.Errorf("the last mark is %d, want %d", last, n)
	}
}

func TestANewKeeperGoesOn(t *testing.T) {
	path := tempLog(t)
	appendTo(t, path, []byte("0123456789"))
	check(t, NewKeeper(path, 0), epoch)
	appendTo(t, path+TimesSuffix, []byte("20 2026-11-2")) // a full disk, or a power cut
	k := NewKeeper(path, 0)
	if check(t, k, epoch) {
		t.Error("grew, and another keeper has seen it all")
	}
	appendTo(t, path, []byte("0123456789"))
	check(t, k, epoch.Add(time.Second))
	b, err := os.ReadFile(path + TimesSuffix)
	if want := "10 2026-11-24T12:00:00Z\n20 2026-11-24T12:00:01Z\n"; err != nil || string(b) != want {
		t.Errorf("times %q, %v; want %q", b, err, want)
	}
}

func TestMiddleIsDropped(t *testing.T) {
	const limit = 256 << 10
	path := tempLog(t)
	k := NewKeeper(path, limit)
	var size int64
	now := epoch
	cuts := map[Hole]bool{}
	for range 200 {
		const step = 10_000
		appendTo(t, path, pattern(size, step))
		size += step
		check(t, k, now)
		now = now.Add(10 * time.Millisecond)
		if got, max := allocated(t, path), int64(limit+limit/4+step+2*block); got > max {
			t.Fatalf("at %d bytes the file takes %d, more than %d", size, got, max)
		}
		h, err := ReadHole(path)
		if err != nil {
			t.Fatal(err)
		}
		cuts[h] = true
	}
	h, _ := ReadHole(path)
	if h.From != limit/4 || h.To > size-limit*3/4 || h.To < size-limit*3/4-limit/4-block {
		t.Errorf("hole %+v of %d bytes with limit %d", h, size, limit)
	}
	if len(cuts) > 1+int(size)/(limit/4) {
		t.Errorf("%d cuts, want big steps", len(cuts))
	}
	// What is left is what was written there.
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := readSection(t, f, 0, size)
	tail := readSection(t, f, h.To, size)
	if !bytes.Equal(head, pattern(0, h.From)) || !bytes.Equal(tail, pattern(h.To, size-h.To)) {
		t.Errorf("head of %d and tail of %d bytes are not what was written", len(head), len(tail))
	}
	if at, err := f.Skip(h.From + 1); at != h.To || err != nil {
		t.Errorf("Skip into the hole: %d, %v", at, err)
	}
	if _, err := f.ReadAt(make([]byte, 10), h.From); err != ErrDropped {
		t.Errorf("ReadAt in the hole: %v", err)
	}
	// Another keeper, as of a log that is appended to by the next daemon.
	k = NewKeeper(path, limit)
	appendTo(t, path, pattern(size, 2*limit))
	check(t, k, now)
	h2, _ := ReadHole(path)
	if h2.From != h.From || h2.To <= h.To || allocated(t, path) > limit+limit/4+2*block {
		t.Errorf("hole %+v after %+v, %d bytes on disk", h2, h, allocated(t, path))
	}
}

func readSection(t *testing.T, f *File, from, to int64) []byte {
	t.Helper()
	b, err := io.ReadAll(&section{f, from, to})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTail(t *testing.T) {
	const limit = MinLimit
	tests := []struct {
		name  string
		text  string
		lines int
		want  string
	}{
		{"empty", "", 3, ""},
		{"fewer", "a\nb\n", 3, "a\nb\n"},
		{"exact", "a\nb\nc\n", 3, "a\nb\nc\n"},
		{"more", "a\nb\nc\nd\n", 3, "b\nc\nd\n"},
		{"half line", "a\nb\nc\nd", 2, "c\nd"},
		{"empty lines", "a\n\n\n\n", 2, "\n\n"},
		{"long", strings.Repeat("x", 200_000) + "\ny\n" + strings.Repeat("z", 100_000) + "\n", 2, "y\n" + strings.Repeat("z", 100_000) + "\n"},
		{"only long", strings.Repeat("x", 200_000), 2, strings.Repeat("x", 200_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tempLog(t)
			appendTo(t, path, []byte(tt.text))
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			size := int64(len(tt.text))
			at, err := f.Tail(size, tt.lines)
			if got := tt.text[at:]; err != nil || got != tt.want {
				t.Errorf("tail at %d, %v: %.60q, want %.60q", at, err, got, tt.want)
			}
		})
	}
	t.Run("stops at the hole", func(t *testing.T) {
		path := tempLog(t)
		appendTo(t, path, pattern(0, 3*limit))
		check(t, NewKeeper(path, limit), epoch)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		h, _ := ReadHole(path)
		if at, err := f.Tail(3*limit, 1<<30); h.Empty() || at != h.To || err != nil {
			t.Errorf("tail at %d, %v; the hole is %+v", at, err, h)
		}
		if at, err := f.Tail(3*limit, 2); at != 3*limit-32 || err != nil {
			t.Errorf("tail of two lines at %d, %v", at, err)
		}
	})
}

func TestProgramTruncatesItsLog(t *testing.T) {
	const limit = MinLimit
	path := tempLog(t)
	k := NewKeeper(path, limit)
	appendTo(t, path, pattern(0, 4*limit))
	check(t, k, epoch)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, []byte("again\n"))
	check(t, k, epoch.Add(time.Second))
	if h, err := ReadHole(path); !h.Empty() || err != nil {
		t.Errorf("hole %+v, %v of a log that began again", h, err)
	}
	if got, err := lastLine(path + TimesSuffix); got != "6 2026-11-24T12:00:01Z" {
		t.Errorf("mark %q, %v", got, err)
	}
}

func TestNoHolesIsSaidOnce(t *testing.T) {
	path := tempLog(t)
	k := NewKeeper(path, MinLimit)
	k.drop = func(*os.File, int64, int64) error { return fmt.Errorf("fallocate: %w", errors.ErrUnsupported) }
	appendTo(t, path, pattern(0, 4*MinLimit))
	if _, err := k.Check(epoch); err == nil || !strings.Contains(err.Error(), "cannot drop") {
		t.Errorf("error %v", err)
	}
	appendTo(t, path, pattern(4*MinLimit, 4*MinLimit))
	check(t, k, epoch)
	if h, err := ReadHole(path); !h.Empty() || err != nil {
		t.Errorf("a hole %+v, %v, and all bytes are there", h, err)
	}
}

func TestBrokenCutIsNone(t *testing.T) {
	for _, text := range []string{"", "x", "\x00\x00\x00", `{"from":`, `{"from":9,"to":4}`} {
		path := tempLog(t)
		appendTo(t, path, []byte("text"))
		appendTo(t, path+CutSuffix, []byte(text))
		if h, err := ReadHole(path); !h.Empty() || err != nil {
			t.Errorf("%q: hole %+v, %v", text, h, err)
		}
	}
}

func FuzzHole(f *testing.F) {
	f.Add(Hole{16384, 1 << 40}.append(nil))
	f.Add([]byte(`{ "from" : 1 , "to" : 2 }`))
	f.Add([]byte(`{"from":-1,"to":2}`))
	f.Add([]byte(`{"from":99999999999999999999,"to":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseHole(b)
		if !ok {
			if !h.Empty() {
				t.Errorf("%q: %+v, and it is none", b, h)
			}
			return
		}
		again, ok := parseHole(h.append(nil))
		if !ok || again != h || h.From < 0 || h.To <= h.From {
			t.Errorf("%q: %+v and again %+v, %t", b, h, again, ok)
		}
	})
}

func FuzzMark(f *testing.F) {
	f.Add([]byte("10 2026-11-24T12:00:00.2Z"))
	f.Add([]byte("-1 2026-11-24T12:00:00Z"))
	f.Add([]byte("10 2026-11-24T12:00:00+01:00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := ParseMark(b)
		if !ok {
			return
		}
		if m.Offset < 0 {
			t.Errorf("%q: offset %d", b, m.Offset)
		}
		m.Time = m.Time.Truncate(time.Millisecond)
		line := m.append(nil)
		if again, ok := ParseMark(line[:len(line)-1]); m.Time.UTC().Year() > 0 && m.Time.UTC().Year() < 10000 && (!ok || again.Offset != m.Offset || !again.Time.Equal(m.Time)) {
			t.Errorf("%q: %v and again %v, %t", b, m, again, ok)
		}
	})
}

func FuzzTail(f *testing.F) {
	f.Add("a\nb\nc\n", 2)
	f.Add("", 1)
	f.Add("no newline", 1)
	f.Add("\n\n\n", 2)
	f.Add(strings.Repeat("x", 70000)+"\ny", 1)
	path := filepath.Join(f.TempDir(), "log")
	f.Fuzz(func(t *testing.T, text string, lines int) {
		if lines <= 0 || lines > 1000 {
			return
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		got, err := log.Tail(int64(len(text)), lines)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.SplitAfter(text, "\n")
		if all[len(all)-1] == "" {
			all = all[:len(all)-1]
		}
		want := strings.Join(all[max(0, len(all)-lines):], "")
		if text[got:] != want {
			t.Errorf("last %d lines of %.60q: got %.60q, want %.60q", lines, text, text[got:], want)
		}
	})
}
