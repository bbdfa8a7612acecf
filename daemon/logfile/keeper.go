package logfile

import "time"

// Keeper keeps one log file: its times, and its size below a limit.
type Keeper struct {
	path  string
	limit int64
}

// NewKeeper returns the keeper of the file at path, which may outgrow limit by little; 0 is no limit.
func NewKeeper(path string, limit int64) *Keeper { return &Keeper{path: path, limit: limit} }

// Check is called soon after something was written.
func (k *Keeper) Check(now time.Time) (grew bool, err error) { return false, nil }
