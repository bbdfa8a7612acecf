package migration

import "time"

// processCPU is not told here.
func processCPU() time.Duration { return 0 }
