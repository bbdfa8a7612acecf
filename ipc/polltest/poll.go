// Package polltest waits, in tests, for what nothing tells of: what other processes do, what the kernel says of them, what a program
// has written. Where there is an event, a test waits for that; where only time passes, it runs in a bubble of testing/synctest.
//
// # Design
//
// One function for all of them, so that each wait has a bound and says what it has waited for. Looks begin a millisecond apart and get
// rarer: a machine that is busy is not made busier. Rejected: a sleep of a length that was enough so far.
package polltest

import (
	"fmt"
	"testing"
	"time"
)

// The first and the longest pause between two looks.
const (
	first   = time.Millisecond
	longest = 5 * time.Millisecond
)

// Until returns when look returns nil. When that takes longer than patience the test fails with what look said last. It is for the
// test's own goroutine.
func Until(t testing.TB, patience time.Duration, look func() error) {
	t.Helper()
	over := time.After(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := look()
		if err == nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-over:
			t.Fatalf("after %s: %v", patience, err)
		}
	}
}

// True is [Until] for what is either so or not; what says what is waited for.
func True(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	Until(t, patience, func() error {
		if ok() {
			return nil
		}
		return fmt.Errorf("still not: %s", what)
	})
}
