package training

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Places for what is hashed: a text's words and pairs of words, a table's categories.
const (
	textPlaces     = 1 << 16
	categoryPlaces = 1 << 12
)

// features is how a record becomes a vector; the model keeps it. A vector is mostly zeros: it is kept as places and values.
type features struct {
	// Text is the column of texts; empty: Columns are learnt from.
	Text    string   `json:"text_column,omitempty"`
	Columns []column `json:"columns,omitempty"`
	// Places is how long a vector is.
	Places int `json:"places"`
	// idf is the weight of each place of a text: the rarer, the heavier.
	idf []float32

	byName map[string]int
	counts map[int32]float32
	words  []byte
}

func newFeatures(text string, columns []column) *features {
	f := &features{Text: text, Columns: columns}
	if text != "" {
		f.Places = textPlaces
	} else {
		f.Places = 2 * len(columns)
		if slices.ContainsFunc(columns, func(c column) bool { return !c.Numeric }) {
			f.Places += categoryPlaces
		}
	}
	f.index()
	return f
}

// index makes what is not kept.
func (f *features) index() {
	f.byName = make(map[string]int, len(f.Columns))
	for i, c := range f.Columns {
		f.byName[c.Name] = i
	}
	f.counts = map[int32]float32{}
}

// raw adds the vector of a record, before it is weighed: the counts of its words, or its figures and categories.
func (f *features) raw(names []string, cells []cell, v *vectors) {
	clear(f.counts)
	if f.Text != "" {
		for _, c := range cells {
			if names[c.column] == f.Text {
				f.count(c.text)
			}
		}
	} else {
		f.row(names, cells)
	}
	v.add(f.counts)
}

// row: a column has two places, for a figure and for the lack of one; a category is hashed to a place of its own.
func (f *features) row(names []string, cells []cell) {
	for i := range f.Columns {
		f.counts[int32(2*i+1)] = 1
	}
	for _, c := range cells {
		i, known := f.byName[names[c.column]]
		if !known {
			continue
		}
		at := int32(2 * i)
		if !f.Columns[i].Numeric {
			sum := xxhash.Sum64String(f.Columns[i].Name + "\x00" + c.text)
			f.counts[int32(2*len(f.Columns))+int32(sum%categoryPlaces)] = 1
		} else if v, err := figure(c.text); err == nil && !math.IsNaN(v) {
			f.counts[at] = float32(v - f.Columns[i].Origin)
		} else {
			continue
		}
		delete(f.counts, at+1)
	}
}

// count counts the words of a text and the pairs of words that stand beside each other. A word is two letters, digits or _
// at least, in lower case; of a script without spaces each character is one.
func (f *features) count(text string) {
	f.words = f.words[:0]
	last, begin := -1, 0 // where the word before, and this one, begin in f.words
	end := func() {
		if utf8.RuneCount(f.words[begin:]) < 2 && !lone(f.words[begin:]) {
			f.words = f.words[:begin]
			return
		}
		f.counts[place(f.words[begin:])]++
		if last >= 0 {
			f.counts[place(f.words[last:])]++
		}
		f.words = append(f.words, ' ')
		if last >= 0 {
			f.words = f.words[:copy(f.words, f.words[begin:])]
			begin = 0
		}
		last, begin = begin, len(f.words)
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case isLone(r):
			end()
			f.words = utf8.AppendRune(f.words, r)
			end()
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			f.words = utf8.AppendRune(f.words, r)
		default:
			end()
		}
	}
	end()
}

func place(word []byte) int32 { return int32(xxhash.Sum64(word) % textPlaces) }

func isLone(r rune) bool {
	return r > 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

func lone(word []byte) bool {
	r, _ := utf8.DecodeRune(word)
	return isLone(r)
}

// fit learns the weights from the records of v that are named, those for training.
func (f *features) fit(v *vectors, records []int32) {
	if f.Text == "" {
		f.fitColumns(v, records)
		return
	}
	found := make([]int, f.Places)
	for _, i := range records {
		places, _ := v.at(i)
		for _, at := range places {
			found[at]++
		}
	}
	f.idf = make([]float32, f.Places)
	for at, n := range found {
		f.idf[at] = float32(math.Log(float64(1+len(records))/float64(1+n)) + 1)
	}
}

func (f *features) fitColumns(v *vectors, records []int32) {
	type sums struct{ n, sum, squares float64 }
	each := make([]sums, len(f.Columns))
	for _, i := range records {
		places, values := v.at(i)
		for j, at := range places {
			if int(at) < 2*len(f.Columns) && at%2 == 0 {
				s, x := &each[at/2], float64(values[j])
				s.n, s.sum, s.squares = s.n+1, s.sum+x, s.squares+x*x
			}
		}
	}
	for i, s := range each {
		c := &f.Columns[i]
		c.Scale = 1
		if !c.Numeric || s.n == 0 {
			continue
		}
		c.Mean = s.sum / s.n
		if variance := s.squares/s.n - c.Mean*c.Mean; variance > 1e-12*max(1, c.Mean*c.Mean) {
			c.Scale = math.Sqrt(variance)
		}
	}
}

// weigh makes of a raw vector the one that is learnt from: figures with mean 0 and variance 1; of a text each count, dampened,
// times the weight of its place, and all of it of length 1.
func (f *features) weigh(places []int32, values []float32) {
	if f.Text == "" {
		for j, at := range places {
			if i := int(at) / 2; i < len(f.Columns) && at%2 == 0 && f.Columns[i].Numeric {
				values[j] = float32((float64(values[j]) - f.Columns[i].Mean) / f.Columns[i].Scale)
			}
		}
		return
	}
	sum := 0.0
	for j, at := range places {
		w := (1 + math.Log(float64(values[j]))) * float64(f.idf[at])
		values[j] = float32(w)
		sum += w * w
	}
	if sum > 0 {
		length := float32(math.Sqrt(sum))
		for j := range values {
			values[j] /= length
		}
	}
}
