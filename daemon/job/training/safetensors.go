package training

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"durable/ipc/atomicfile"
)

// tensor is an array of float32 or of int64.
type tensor struct {
	name   string
	shape  []int
	floats []float32
	ints   []int64
}

func (t tensor) size() int { return 4*len(t.floats) + 8*len(t.ints) }

// entry is a tensor in the header of a safetensors file.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

const (
	metadataKey = "__metadata__"
	ourKey      = "durable"
	maxHeader   = 64 << 20
)

// writeTensors makes a safetensors file: eight bytes of length, a header in JSON, the numbers in little-endian. meta is kept in
// the header as a text, as the format wants it. The file is there whole, and on the disk, or not at all.
func writeTensors(path string, meta any, tensors []tensor) (err error) {
	told, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	header := map[string]any{metadataKey: map[string]string{ourKey: string(told)}}
	at := 0
	for _, t := range tensors {
		kind := "F32"
		if t.ints != nil {
			kind = "I64"
		}
		header[t.name] = entry{kind, append([]int{}, t.shape...), [2]int{at, at + t.size()}}
		at += t.size()
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	return writeWhole(path, func(w io.Writer) error {
		if err := binary.Write(w, binary.LittleEndian, uint64(len(head))); err != nil {
			return err
		}
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, t := range tensors {
			if err := writeNumbers(w, t); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeNumbers(w io.Writer, t tensor) error {
	buf := make([]byte, 0, 64<<10)
	for chunk := range slices.Chunk(t.floats, 8<<10) {
		buf = buf[:0]
		for _, v := range chunk {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(t.ints, 8<<10) {
		buf = buf[:0]
		for _, v := range chunk {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole makes path of what f writes: beside its place, synced, then renamed.
func writeWhole(path string, f func(io.Writer) error) error {
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fileError(err, "write", path)
	}
	w := bufio.NewWriterSize(file, 256<<10)
	err = f(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part) // the first error counts
		return fileError(err, "write", path)
	}
	return fileError(atomicfile.SyncDir(dirOf(path)), "write", path)
}

// readTensors reads what writeTensors wrote, of a file of size bytes. What is no such file is an error, whatever it holds.
func readTensors(r io.Reader, size int64, meta any) (map[string]tensor, error) {
	var length uint64
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	if length > maxHeader || int64(length) > size-8 {
		return nil, fmt.Errorf("a header of %d bytes in a file of %d", length, size)
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(head, &raw); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var notes map[string]string
	if err := json.Unmarshal(raw[metadataKey], &notes); err != nil {
		return nil, fmt.Errorf("header: no metadata: %w", err)
	}
	if err := json.Unmarshal([]byte(notes[ourKey]), meta); err != nil {
		return nil, fmt.Errorf("header: not by durable: %w", err)
	}
	delete(raw, metadataKey)
	entries, err := inOrder(raw, size-8-int64(length))
	if err != nil {
		return nil, err
	}
	found := map[string]tensor{}
	for _, e := range entries {
		t, err := readNumbers(r, e)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", e.name, err)
		}
		found[e.name] = t
	}
	return found, nil
}

type namedEntry struct {
	entry
	name  string
	count int
}

// inOrder returns the entries as they lie in the file, each checked: they fill it, without gaps.
func inOrder(raw map[string]json.RawMessage, size int64) ([]namedEntry, error) {
	var entries []namedEntry
	for name, text := range raw {
		e := namedEntry{name: name, count: 1}
		if err := json.Unmarshal(text, &e.entry); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		for _, n := range e.Shape {
			if n < 0 || n > maxNumbers || e.count*n > math.MaxInt32 {
				return nil, fmt.Errorf("tensor %s: shape %v", name, e.Shape)
			}
			e.count *= n
		}
		each := map[string]int{"F32": 4, "I64": 8}[e.DType]
		if each == 0 || e.Offsets[1]-e.Offsets[0] != each*e.count || e.Offsets[0] < 0 {
			return nil, fmt.Errorf("tensor %s: %s %v at %v", name, e.DType, e.Shape, e.Offsets)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b namedEntry) int {
		if a.Offsets[0] != b.Offsets[0] {
			return a.Offsets[0] - b.Offsets[0]
		}
		return a.Offsets[1] - b.Offsets[1]
	})
	at := 0
	for _, e := range entries {
		if e.Offsets[0] != at {
			return nil, fmt.Errorf("tensor %s: begins at %d, want %d", e.name, e.Offsets[0], at)
		}
		at = e.Offsets[1]
	}
	if int64(at) != size {
		return nil, fmt.Errorf("%d bytes of numbers, want %d", size, at)
	}
	return entries, nil
}

func readNumbers(r io.Reader, e namedEntry) (tensor, error) {
	t := tensor{name: e.name, shape: e.Shape}
	buf := make([]byte, e.Offsets[1]-e.Offsets[0])
	if _, err := io.ReadFull(r, buf); err != nil {
		return t, err
	}
	if e.DType == "I64" {
		t.ints = make([]int64, e.count)
		for i := range t.ints {
			t.ints[i] = int64(binary.LittleEndian.Uint64(buf[8*i:]))
		}
		return t, nil
	}
	t.floats = make([]float32, e.count)
	for i := range t.floats {
		t.floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
	}
	return t, nil
}

// openTensors is readTensors of a file.
func openTensors(path string, meta any) (map[string]tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err, "read", path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fileError(err, "read", path)
	}
	found, err := readTensors(bufio.NewReaderSize(f, 256<<10), info.Size(), meta)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return found, nil
}
