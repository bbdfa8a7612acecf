package job

import (
	"io"
	"os"

	"github.com/cespare/xxhash/v2"
)

// Fingerprint tells whether a file is the same as before: not proof, but what rsync and make rely on, and its beginning and end besides.
// It is part of checkpoints: its JSON is a format.
type Fingerprint struct {
	Size    int64  `json:"size"`
	ModTime int64  `json:"mod_time"` // ns
	Ends    uint64 `json:"ends,string"`
}

// endsLen is how much of a file's beginning and of its end is hashed.
const endsLen = 64 << 10

// FingerprintOf reads the one of a file. The error is the operating system's.
func FingerprintOf(path string) (Fingerprint, error) {
	f, err := os.Open(path)
	if err != nil {
		return Fingerprint{}, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return Fingerprint{}, err
	}
	h := xxhash.New()
	_, err = io.Copy(h, io.NewSectionReader(f, 0, endsLen))
	if err == nil {
		_, err = io.Copy(h, io.NewSectionReader(f, max(0, info.Size()-endsLen), endsLen))
	}
	return Fingerprint{Size: info.Size(), ModTime: info.ModTime().UnixNano(), Ends: h.Sum64()}, err
}
