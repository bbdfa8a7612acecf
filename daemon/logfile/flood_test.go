package logfile

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// words fills b with what belongs at offset: each eight bytes are their own offset, and never NULs.
func words(b []byte, offset int64) {
	for i := 0; i < len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], uint64(offset+int64(i))|1)
	}
}

// verify reports whether b, at offset, is what words wrote.
func verify(b []byte, offset int64) bool {
	for i := int(-offset & 7); i+8 <= len(b); i += 8 {
		if binary.BigEndian.Uint64(b[i:]) != uint64(offset+int64(i))|1 {
			return false
		}
	}
	return true
}

// TestFlood: a program writes as fast as it can into a log with a small limit. The file stays small on the disk, offsets
// stay what they are, and followers never see a byte twice, in the wrong place, or one that was dropped.
func TestFlood(t *testing.T) {
	const limit, chunk = 8 << 20, 256 << 10
	path := tempLog(t)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var written atomic.Int64
	var ended atomic.Bool
	var group sync.WaitGroup
	began := time.Now()
	group.Go(func() {
		defer ended.Store(true)
		b := make([]byte, chunk)
		for time.Since(began) < time.Second || written.Load() < 4*limit { // so much that there must be a hole
			words(b, written.Load())
			if _, err := out.Write(b); err != nil {
				t.Error(err)
				return
			}
			written.Add(chunk)
		}
	})
	group.Go(func() {
		k := NewKeeper(path, limit)
		var before int64
		for last := false; !last; {
			last = ended.Load()
			at := written.Load()
			if _, err := k.Check(time.Now()); err != nil {
				t.Error(err)
				return
			}
			// What is written while Check is at work counts like what is written before the next one.
			after := written.Load()
			bound := int64(limit+limit/4) + (after - before) + 2*chunk
			if got := allocated(t, path); got > bound+written.Load()-after {
				t.Errorf("at %d bytes the file takes %d, want at most %d", after, got, bound)
			}
			before = at
			time.Sleep(5 * time.Millisecond)
		}
		if err := k.Finish(time.Now()); err != nil {
			t.Error(err)
		}
	})
	var holes, seen [2]int64
	for i, pause := range []time.Duration{0, 10 * time.Millisecond} {
		group.Go(func() { holes[i], seen[i] = followFlood(t, path, &written, &ended, pause) })
	}
	group.Wait()
	size := written.Load()
	h, err := ReadHole(path)
	if err != nil || h.Empty() || size-h.To > limit {
		t.Errorf("hole %+v, %v in %d bytes", h, err, size)
	}
	if got := allocated(t, path); got > limit+limit/4+chunk {
		t.Errorf("in the end the file takes %d bytes", got)
	}
	rate := float64(size) / time.Since(began).Seconds() / 1e6
	t.Logf("%.0f MB/s, %d bytes; followers skipped %d holes and saw %d bytes", rate, size, holes, seen)
}

// followFlood reads path until the writer has ended, and returns how often it was thrown out by the hole and
// how many bytes it has read.
func followFlood(t *testing.T, path string, written *atomic.Int64, ended *atomic.Bool, pause time.Duration) (holes, seen int64) {
	f, err := Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	b := make([]byte, 64<<10)
	var offset int64
	for {
		last := ended.Load()
		n, err := f.ReadAt(b, offset)
		if !verify(b[:n], offset) {
			t.Errorf("at offset %d: %x..., not what was written there", offset, b[:min(n, 32)])
			return
		}
		offset += int64(n)
		seen += int64(n)
		switch {
		case errors.Is(err, ErrDropped):
			next, err := f.Skip(offset)
			if err != nil || next <= offset {
				t.Errorf("Skip(%d): %d, %v", offset, next, err)
				return
			}
			offset = next
			holes++
		case n == 0 && last && offset == written.Load():
			return holes, seen
		case err != nil && !errors.Is(err, io.EOF):
			t.Error(err)
			return
		}
		time.Sleep(pause)
	}
}

// TestTailUnderFlood looks for the last lines while the hole grows.
func TestTailUnderFlood(t *testing.T) {
	const limit = MinLimit
	path := tempLog(t)
	appendTo(t, path, pattern(0, 4*limit))
	k := NewKeeper(path, limit)
	check(t, k, epoch)
	var group sync.WaitGroup
	var stop atomic.Bool
	group.Go(func() {
		defer stop.Store(true)
		size := int64(4 * limit)
		for range 200 {
			appendTo(t, path, pattern(size, limit/2))
			size += limit / 2
			check(t, k, epoch)
		}
	})
	for !stop.Load() {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		at, err := f.Tail(size, 1_000_000)
		if err != nil || at > size || at < 3*limit-limit {
			t.Errorf("tail at %d of %d: %v", at, size, err)
		}
		b, _ := io.ReadAll(&section{f, at, size})
		if string(b) != string(pattern(at, int64(len(b)))) {
			t.Errorf("tail at %d of %d is not what was written", at, size)
		}
		f.Close()
	}
	group.Wait()
}
