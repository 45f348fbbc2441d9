package tray

import (
	"errors"
	"fmt"
)

// All calls f with every item of the menu, parents first.
func (v View) All(f func(it Item)) {
	var walk func([]Item)
	walk = func(items []Item) {
		for _, it := range items {
			f(it)
			walk(it.Items)
		}
	}
	walk(v.Items)
}

// Find returns the item with this ID.
func (v View) Find(id ID) (found Item, ok bool) {
	v.All(func(it Item) {
		if it.ID == id {
			found, ok = it, true
		}
	})
	return found, ok
}

// Accepts returns the item that a click on id is for, if that is to have an
// effect: the item and all above it are shown and enabled, and it is neither a
// separator nor a submenu. Panels and other bus clients can "click" anything.
func (v View) Accepts(id ID) (Item, bool) {
	var find func([]Item) (Item, bool)
	find = func(items []Item) (Item, bool) {
		for _, it := range items {
			if it.Hidden || it.Disabled || it.Separator {
				continue
			}
			if it.ID == id {
				return it, len(it.Items) == 0
			}
			if found, ok := find(it.Items); ok {
				return found, true
			}
		}
		return Item{}, false
	}
	return find(v.Items)
}

// Diff returns the items of next that look otherwise than in prev. The two must
// have the same shape; see Validate.
func Diff(prev, next View) []Item {
	old := map[ID]Item{}
	prev.All(func(it Item) { old[it.ID] = it })
	var changed []Item
	next.All(func(it Item) {
		o := old[it.ID]
		if o.Label != it.Label || o.Checked != it.Checked || o.Disabled != it.Disabled || o.Hidden != it.Hidden {
			changed = append(changed, it)
		}
	})
	return changed
}

// Validate refuses what systray cannot show: a missing or repeated ID, an empty
// label on show, a separator in a submenu, a checkbox with a submenu.
func (v View) Validate() error {
	seen := map[ID]bool{}
	var errs []error
	var walk func(items []Item, depth int, hidden bool)
	walk = func(items []Item, depth int, hidden bool) {
		for _, it := range items {
			switch {
			case it.ID == "" || seen[it.ID]:
				errs = append(errs, fmt.Errorf("item %q has no ID of its own", it.ID))
			case it.Separator && depth > 0:
				errs = append(errs, fmt.Errorf("%s: a separator in a submenu", it.ID))
			case it.Separator && it.Hidden:
				errs = append(errs, fmt.Errorf("%s: a separator cannot be hidden", it.ID))
			case !it.Separator && !it.Hidden && !hidden && it.Label == "":
				errs = append(errs, fmt.Errorf("%s: no label", it.ID))
			case it.Checkable && len(it.Items) > 0:
				errs = append(errs, fmt.Errorf("%s: a checkbox with a submenu", it.ID))
			}
			seen[it.ID] = true
			walk(it.Items, depth+1, hidden || it.Hidden)
		}
	}
	walk(v.Items, 0, false)
	return errors.Join(errs...)
}

// Shape is the order of the IDs, which never changes in the life of a process.
func (v View) Shape() string {
	s := ""
	var walk func([]Item)
	walk = func(items []Item) {
		for _, it := range items {
			s += string(it.ID)
			if it.Checkable {
				s += "[]"
			}
			if len(it.Items) > 0 {
				s += "("
				walk(it.Items)
				s += ")"
			}
			s += " "
		}
	}
	walk(v.Items)
	return s
}
