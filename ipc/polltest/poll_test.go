package polltest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a test that may fail.
type fake struct {
	testing.TB
	said string
}

func (f *fake) Helper() {}
func (f *fake) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, looks := time.Now(), 0
		True(t, time.Minute, "a second has gone", func() bool { looks++; return time.Since(began) >= time.Second })
		if took := time.Since(began); took > time.Second+longest || looks > int(time.Second/longest)+10 {
			t.Errorf("%s, %d looks", took, looks)
		}
		f, ended := &fake{TB: t}, make(chan struct{})
		began = time.Now()
		go func() {
			defer close(ended)
			Until(f, time.Minute, func() error { return errors.New("two are left") })
		}()
		<-ended
		if took := time.Since(began); took != time.Minute || !strings.Contains(f.said, "two are left") {
			t.Errorf("%s: %q", took, f.said)
		}
	})
}
