package migration

import (
	"testing"
	"time"
)

func TestRoom(t *testing.T) {
	const least, most = 256 << 10, 4 << 20
	r := newRoom(&pgSink{})
	for i, tt := range []struct {
		took    time.Duration
		refused bool
		want    int
	}{
		{0, false, 2 << 20},
		{roomFast, false, 2 << 20},
		{roomFast - 1, false, most},
		{0, false, most},
		{roomSlow, false, most},
		{roomSlow + 1, false, most / 2},
		{0, true, most / 4},
		{time.Hour, true, most / 8},
		{time.Hour, true, least},
		{0, true, least},
		{0, false, 2 * least},
	} {
		if r.wrote(tt.took, tt.refused); r.now() != tt.want {
			t.Fatalf("step %d: a batch may have %d bytes, want %d", i, r.now(), tt.want)
		}
	}
	if r := newRoom(nil); r.now() != batchBytes {
		t.Errorf("without a short way a batch may have %d bytes, want %d", r.now(), batchBytes)
	}
	r = newRoom(&parquetSink{})
	if r.wrote(0, false); r.now() != batchBytes {
		t.Errorf("into Parquet a batch may have %d bytes, want %d", r.now(), batchBytes)
	}
}
