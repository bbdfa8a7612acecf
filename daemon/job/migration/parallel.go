package migration

import "sync"

// split cuts low..high, both included, into at most n ranges of about the same width.
func split(low, high int64, n int) [][2]int64 {
	span := uint64(high) - uint64(low) // right also where high-low overflows
	if span < uint64(n) {
		return [][2]int64{{low, high}}
	}
	ranges := make([][2]int64, n)
	step := span / uint64(n)
	for i := range ranges {
		from := uint64(low) + uint64(i)*step
		ranges[i] = [2]int64{int64(from), int64(from + step - 1)}
	}
	ranges[n-1][1] = high
	return ranges
}

// sharedTick adds up what n goroutines count and passes the sum on, one call at a time.
func sharedTick(n int, tick func(int64)) func(part int, count int64) {
	var mu sync.Mutex
	counts := make([]int64, n)
	return func(part int, count int64) {
		mu.Lock()
		defer mu.Unlock()
		counts[part] = count
		var all int64
		for _, c := range counts {
			all += c
		}
		tick(all)
	}
}
