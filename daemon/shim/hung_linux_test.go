package shim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/daemon/shim"
)

// TestHolderStoppedOverTheEnd: a holder that somebody has stopped hears nothing of its program's end. Until it goes on the program counts as
// running, for this daemon and for the next, neither of which hangs; then the true end is told. A stop does not wait for it.
func TestHolderStoppedOverTheEnd(t *testing.T) {
	for _, told := range []bool{false, true} {
		t.Run(fmt.Sprintf("told to stop %t", told), func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "read x < go; exit 5")
			if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
				t.Fatal(err)
			}
			p := b.start()
			holder := b.holder().PID
			stopProcess(b, holder)
			b.write("go", "\n")
			b.eventually("the program is a zombie", func() bool { return zombie(p.PID()) })
			short, cancel := context.WithTimeout(b.ctx(), 50*time.Millisecond)
			defer cancel()
			if e, err := p.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %+v, %v", e, err)
			}
			next := b.recover(shim.Running)
			if told {
				if err := next.Stop(0); err != nil {
					t.Fatal(err)
				}
				b.waitErr(next, shim.ErrLost) // the holder was overruled: nobody else knows how it ended
				return
			}
			if err := syscall.Kill(holder, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if e := b.wait(next); e.Code != 5 || e.Stopped {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// zombie reports whether a process has ended and its parent has not heard of it.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
