//go:build !linux

package bench

// rssAnon returns nil: only Linux tells this figure.
func rssAnon(int) (*int64, error) { return nil, nil }
