// Package cgrouptest gives tests a control group of their own, as a service manager hands one over.
package cgrouptest
