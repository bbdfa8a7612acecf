//go:build unix

package environ

import "time"

// SetEndGrace gives shells another time to end, for a machine on which nothing takes how long it should.
func SetEndGrace(d time.Duration) (restore func()) {
	before := endGrace
	endGrace = d
	return func() { endGrace = before }
}
