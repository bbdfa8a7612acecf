package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"
)

// The layout of bbolt's pages: a head of 16 bytes (number, flags, count of elements, pages that it goes on for), then as many elements of
// 16 bytes, which say where their keys are. It is the format of its files, version 2, and in the byte order of the machine.
const (
	pageHead      = 16
	branchElement = 16
	flagBranch    = 0x01
	flagLeaf      = 0x02
	maxDepth      = 64 // of a tree; deeper is one that leads back to itself
)

// branches checks the pages between the roots and the leaves. Whoever walks through the leaves does not look at all that is in them,
// but bbolt does as it looks for its free pages, in a goroutine, where a key or page outside the file ends the process.
type branches struct {
	file  io.ReaderAt
	size  int    // of a page
	pages uint64 // of the file
}

// check begins at the root of every bucket of b, and at that of their list.
func (c *branches) check(b *bbolt.Tx) error {
	if err := c.visit(uint64(b.Cursor().Bucket().Root()), 0); err != nil {
		return err
	}
	return b.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
		if bucket.Root() == 0 { // it is small, and within the leaf that names it
			return nil
		}
		return c.visit(uint64(bucket.Root()), 0)
	})
}

func (c *branches) visit(id uint64, depth int) error {
	if id < 2 || id >= c.pages || depth > maxDepth { // the first two are bbolt's own
		return fmt.Errorf("%w: a branch leads to page %d", errDamaged, id)
	}
	var head [pageHead]byte
	if err := c.read(id, head[:]); err != nil {
		return err
	}
	flags, n := binary.NativeEndian.Uint16(head[8:]), int(binary.NativeEndian.Uint16(head[10:]))
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	switch {
	case binary.NativeEndian.Uint64(head[:]) != id || id+more >= c.pages:
		return fmt.Errorf("%w: page %d", errDamaged, id)
	case flags == flagLeaf:
		return nil
	case flags != flagBranch || n == 0 || pageHead+n*branchElement > c.size*int(1+more):
		return fmt.Errorf("%w: page %d is no branch", errDamaged, id)
	}
	page := make([]byte, c.size*int(1+more))
	if err := c.read(id, page); err != nil {
		return err
	}
	return c.elements(id, page, n, depth)
}

// elements checks those of one branch, and what they lead to.
func (c *branches) elements(id uint64, page []byte, n, depth int) error {
	var prev []byte
	children := make([]uint64, n)
	for i := range children {
		element := page[pageHead+i*branchElement:]
		at, size := uint64(binary.NativeEndian.Uint32(element)), uint64(binary.NativeEndian.Uint32(element[4:]))
		if at+size > uint64(len(element)) {
			return fmt.Errorf("%w: page %d: key %d is not in it", errDamaged, id, i)
		}
		key := element[at : at+size]
		if i > 0 && bytes.Compare(prev, key) >= 0 {
			return fmt.Errorf("%w: page %d: keys are out of order", errDamaged, id)
		}
		prev = key
		children[i] = binary.NativeEndian.Uint64(element[8:])
	}
	return c.visitAll(children, depth+1)
}

// visitAll visits the children of one branch; those of a root beside each other, since there is a read for every page of the file.
func (c *branches) visitAll(ids []uint64, depth int) error {
	if depth > 1 {
		for _, id := range ids {
			if err := c.visit(id, depth); err != nil {
				return err
			}
		}
		return nil
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, id := range ids {
		group.Go(func() error { return contain(func() error { return c.visit(id, depth) }) })
	}
	return group.Wait()
}

func (c *branches) read(id uint64, b []byte) error {
	if _, err := c.file.ReadAt(b, int64(id)*int64(c.size)); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}
