//go:build darwin || windows

package notify

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/gen2brain/beeep"
)

// showing is set while a note is being shown, by a library that knows no bound.
var showing atomic.Bool

// Desktop shows a note on the desktop of the user whose daemon this is. The error says why there is none. One that takes
// longer than ctx allows is left alone, and none is shown beside it.
func Desktop(ctx context.Context, note Note) error {
	if !showing.CompareAndSwap(false, true) {
		return errors.New("the notification before is still being shown")
	}
	done := make(chan error, 1)
	go func() {
		defer showing.Store(false)
		beeep.AppName = "durable"
		done <- beeep.Notify(unscripted(note.Title), unscripted(note.Body), "")
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
