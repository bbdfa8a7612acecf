package training

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// figures are what was measured over some records. There are none where there were no records.
type figures struct {
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
	F1       float64 `json:"f1"` // the mean over the classes, each counting the same
}

// point is an epoch in the series.
type point struct {
	Epoch int `json:"epoch"`
	figures
	ValLoss     *float64 `json:"val_loss,omitempty"`
	ValAccuracy *float64 `json:"val_accuracy,omitempty"`
	ValF1       *float64 `json:"val_f1,omitempty"`
	Seconds     float64  `json:"seconds"`
}

func (p *point) validated(f figures) { p.ValLoss, p.ValAccuracy, p.ValF1 = &f.Loss, &f.Accuracy, &f.F1 }

// shown are the figures that count: those of records that were not learnt from, where there are any.
func (p *point) shown() figures {
	if p.ValLoss == nil {
		return p.figures
	}
	return figures{*p.ValLoss, *p.ValAccuracy, *p.ValF1}
}

// meter measures. Its sums are taken in the order of the records.
type meter struct {
	classes int
	loss    float64
	seen    int
	right   int
	hits    []int // of each class
	said    []int
	true    []int
}

func newMeter(classes int) *meter {
	return &meter{classes: classes, hits: make([]int, classes), said: make([]int, classes), true: make([]int, classes)}
}

// add takes what the network thought of a batch.
func (m *meter) add(logits []float32, b *batch) {
	for i := range b.records {
		row, label := logits[i*m.classes:(i+1)*m.classes], int(b.labels[i])
		best := argmax(row)
		m.loss += logSum(row) - float64(row[label])
		m.seen++
		m.said[best]++
		m.true[label]++
		if best == label {
			m.right++
			m.hits[label]++
		}
	}
}

func argmax(row []float32) int {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}

func logSum(row []float32) float64 {
	top, sum := float64(row[argmax(row)]), 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// softmax returns the probabilities.
func softmax(row []float32) []float64 {
	all, p := logSum(row), make([]float64, len(row))
	for i, v := range row {
		p[i] = math.Exp(float64(v) - all)
	}
	return p
}

// figures are those of all that was added. Classes that neither are nor were said do not count.
func (m *meter) figures() figures {
	if m.seen == 0 {
		return figures{}
	}
	f1, classes := 0.0, 0
	for c := range m.classes {
		if n := m.said[c] + m.true[c]; n > 0 {
			f1 += 2 * float64(m.hits[c]) / float64(n)
			classes++
		}
	}
	return figures{m.loss / float64(m.seen), float64(m.right) / float64(m.seen), f1 / float64(classes)}
}

// maxPoints is how many epochs the result has.
const maxPoints = 200

// thinned is at most maxPoints of a series, evenly spaced, with the first and the last.
func thinned(series []point) []point {
	if len(series) <= maxPoints {
		return append([]point{}, series...)
	}
	some := make([]point, maxPoints)
	for i := range some {
		some[i] = series[i*(len(series)-1)/(maxPoints-1)]
	}
	return some
}

const seriesHeader = "epoch,loss,accuracy,f1,val_loss,val_accuracy,val_f1,seconds\n"

// writeSeries makes metrics.csv.
func writeSeries(path string, series []point) error {
	return writeWhole(path, func(w io.Writer) error {
		text := []byte(seriesHeader)
		for _, p := range series {
			text = strconv.AppendInt(text, int64(p.Epoch), 10)
			for _, v := range []*float64{&p.Loss, &p.Accuracy, &p.F1, p.ValLoss, p.ValAccuracy, p.ValF1} {
				text = append(text, ',')
				if v != nil && !math.IsNaN(*v) {
					text = strconv.AppendFloat(text, *v, 'g', 8, 64)
				}
			}
			text = fmt.Appendf(text, ",%.3f\n", p.Seconds)
		}
		_, err := w.Write(text)
		return err
	})
}
