package training

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	//lint:ignore ST1001 graphs are written so
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	mlctx "github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
)

// network is a classifier of dense layers with rectifiers between them: GoMLX's graphs over its backend in pure Go. It is used by
// one goroutine at a time.
type network struct {
	sizes   []int // of the layers: the vector's places, the hidden ones, the classes
	backend backends.Backend
	vars    *mlctx.Context
	learn   *mlctx.Exec
	think   *mlctx.Exec
}

// maxGraphs is how many graphs an Exec keeps: one for each width of a batch.
const maxGraphs = 256

// gradientUser is what GoMLX's Adam is beside its interface.
type gradientUser interface {
	UpdateGraphWithGradients(ctx *mlctx.Context, grads []*Node, loss dtypes.DType)
}

// newNetwork makes a network of given numbers, those of a new one or of a checkpoint.
func newNetwork(sizes []int, rate float64, numbers []tensor) (_ *network, err error) {
	n := &network{sizes: sizes}
	if n.backend, err = simplego.New(backendOf(sizes)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	n.vars = mlctx.New().Checked(false)
	for _, t := range numbers {
		if err = n.set(t); err != nil {
			return nil, err
		}
	}
	adam, ok := optimizers.Adam().LearningRate(rate).Done().(gradientUser)
	if !ok {
		return nil, errors.New("the optimizer takes no gradients")
	}
	n.learn, err = mlctx.NewExec(n.backend, n.vars, func(ctx *mlctx.Context, in []*Node) *Node {
		layers := n.forward(ctx, in[0], in[1])
		logits := layers[len(layers)-1]
		right := OneHot(in[2], sizes[len(sizes)-1], dtypes.Float32)
		weights := Div(in[3], ReduceAllSum(in[3]))
		wrong := Mul(Sub(Softmax(logits), right), InsertAxes(weights, -1)) // the cross-entropy's gradient
		adam.UpdateGraphWithGradients(ctx, n.backward(ctx, layers, in[1], wrong), dtypes.Float32)
		return logits
	})
	if err == nil {
		n.think, err = mlctx.NewExec(n.backend, n.vars, func(ctx *mlctx.Context, in []*Node) *Node {
			layers := n.forward(ctx, in[0], in[1])
			return layers[len(layers)-1]
		})
	}
	if err != nil {
		return nil, err
	}
	n.learn.SetMaxCache(maxGraphs)
	n.think.SetMaxCache(maxGraphs)
	return n, nil
}

// layer is the scope of a layer's variables.
func layer(i int) string { return fmt.Sprintf("layer_%d", i) }

func (n *network) value(ctx *mlctx.Context, g *Graph, i int, name string) *Node {
	return ctx.GetVariableByScopeAndName("/"+layer(i), name).ValueGraph(g)
}

// forward is the network itself: it returns what goes into each layer, and the logits. Of the first layer's weights it takes only
// the rows of those places that the batch has: the product is the same as with all of them, since what the matrix leaves out is zero.
func (n *network) forward(ctx *mlctx.Context, matrix, places *Node) []*Node {
	g := matrix.Graph()
	layers := []*Node{matrix}
	for i := range len(n.sizes) - 1 {
		weights := n.value(ctx, g, i, "weights")
		if i == 0 {
			weights = Gather(weights, InsertAxes(places, -1))
		}
		x := Add(product(layers[i], 1, weights, 0), InsertAxes(n.value(ctx, g, i, "biases"), 0))
		if i < len(n.sizes)-2 {
			x = Max(x, ScalarZero(g, dtypes.Float32))
		}
		layers = append(layers, x)
	}
	return layers
}

// backward returns the gradients, in the order of the variables that are learnt. GoMLX would find them by itself, but multiplies
// two matrices there by way of a cube, which takes most of the time of a step: so they are written out.
func (n *network) backward(ctx *mlctx.Context, layers []*Node, places, d *Node) []*Node {
	g := d.Graph()
	found := map[string]*Node{}
	for i := len(n.sizes) - 2; i >= 0; i-- {
		weights := product(layers[i], 0, d, 0)
		if i == 0 {
			weights = ScatterSum(Zeros(g, shapes.Make(dtypes.Float32, n.sizes[0], n.sizes[1])), InsertAxes(places, -1), weights, true, false)
		}
		found["/"+layer(i)+"/weights"], found["/"+layer(i)+"/biases"] = weights, ReduceSum(d, 0)
		if i > 0 {
			passed := ConvertDType(GreaterThan(layers[i], ScalarZero(g, dtypes.Float32)), dtypes.Float32)
			d = Mul(product(d, 1, n.value(ctx, g, i, "weights"), 1), passed)
		}
	}
	var all []*Node
	for v := range n.vars.IterVariables() {
		if grad := found[v.ScopeAndName()]; grad != nil {
			all = append(all, grad)
		}
	}
	return all
}

// product is that of two matrices, over that axis of each.
func product(a *Node, axisA int, b *Node, axisB int) *Node {
	return DotGeneral(a, []int{axisA}, nil, b, []int{axisB}, nil)
}

// freshNumbers draws the weights of a new network, by Glorot's rule; inputs is how many places of a vector are taken at once. Where
// there is no hidden layer, all begin at zero.
func freshNumbers(sizes []int, inputs int, seed int64) []tensor {
	rng := random(seed, streamWeights)
	var all []tensor
	for i := range len(sizes) - 1 {
		in, out := sizes[i], sizes[i+1]
		t := tensor{name: "/" + layer(i) + "/weights", shape: []int{in, out}, floats: make([]float32, in*out)}
		if i == 0 {
			in = inputs
		}
		limit := math.Sqrt(6 / float64(in+out))
		if len(sizes) == 2 {
			limit = 0
		}
		for j := range t.floats {
			t.floats[j] = float32(limit * (2*rng.Float64() - 1))
		}
		all = append(all, t, tensor{name: "/" + layer(i) + "/biases", shape: []int{out}, floats: make([]float32, out)})
	}
	return all
}

// set makes a variable. Those of the layers are learnt, others are the optimizer's.
func (n *network) set(t tensor) error {
	cut := strings.LastIndexByte(t.name, '/')
	if cut <= 0 && t.name == "" {
		return errors.New("a tensor without a name")
	}
	scope, name := t.name[:max(cut, 0)], t.name[cut+1:]
	if scope == "" {
		scope = "/"
	}
	var value *tensors.Tensor
	if t.ints != nil {
		value = tensors.FromFlatDataAndDimensions(t.ints, t.shape...)
	} else {
		value = tensors.FromFlatDataAndDimensions(t.floats, t.shape...)
	}
	n.vars.InAbsPath(scope).Checked(false).VariableWithValue(name, value).SetTrainable(strings.HasPrefix(t.name, "/layer_"))
	return nil
}

// numbers returns all that the network is, with the optimizer's state, by name: a network that was read back has them in another
// order.
func (n *network) numbers() ([]tensor, error) {
	var all []tensor
	for v := range n.vars.IterVariables() {
		value, err := v.Value()
		if err != nil {
			return nil, err
		}
		t := tensor{name: v.ScopeAndName(), shape: v.Shape().Dimensions}
		switch v.DType() {
		case dtypes.Float32:
			t.floats, err = tensors.CopyFlatData[float32](value)
		case dtypes.Int64:
			t.ints, err = tensors.CopyFlatData[int64](value)
		default:
			err = fmt.Errorf("variable %s of type %s", t.name, v.DType())
		}
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b tensor) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// step learns from a batch and returns what the network thought of it before: classes for each record.
func (n *network) step(b *batch) ([]float32, error) {
	return run(n.learn, tensors.FromFlatDataAndDimensions(b.matrix, b.size, b.width), tensors.FromFlatDataAndDimensions(b.places, b.width),
		tensors.FromFlatDataAndDimensions(b.labels, b.size), tensors.FromFlatDataAndDimensions(b.weights, b.size))
}

// judge returns what the network thinks of a batch.
func (n *network) judge(b *batch) ([]float32, error) {
	return run(n.think, tensors.FromFlatDataAndDimensions(b.matrix, b.size, b.width), tensors.FromFlatDataAndDimensions(b.places, b.width))
}

func run(e *mlctx.Exec, in ...any) ([]float32, error) {
	out, err := e.Exec(in...)
	if err != nil {
		return nil, err
	}
	logits, err := tensors.CopyFlatData[float32](out[0])
	for _, t := range out {
		err = errors.Join(err, t.FinalizeAll())
	}
	for _, t := range in {
		err = errors.Join(err, t.(*tensors.Tensor).FinalizeAll())
	}
	return logits, err
}

// close gives back what the backend holds.
func (n *network) close() {
	for _, e := range []*mlctx.Exec{n.learn, n.think} {
		if e != nil {
			e.Finalize()
		}
	}
	if n.vars != nil {
		n.vars.Finalize()
	}
	n.backend.Finalize()
}

// backendOf is the backend's configuration. One operation runs at a time, each on all cores; none adds up in an order that
// depends on the cores, so that the same numbers come out each time. Its product for large matrices works in blocks of 64 x 64,
// which are mostly empty where a layer is narrow.
func backendOf(sizes []int) string {
	const narrow = 32
	if slices.Max(sizes[1:]) <= narrow {
		return "ops_sequential,dotgeneral_small"
	}
	return "ops_sequential"
}
