package relay

import (
	"reflect"
	"testing"

	"melon/upstream"
)

// Whatever changes in an account's settings is noticed exactly when it changes the
// fingerprint: a field that is new in them is not forgotten.
func TestSameSettings(t *testing.T) {
	t.Parallel()
	fields := 0
	var walk func(a *upstream.Account, v reflect.Value, path string)
	walk = func(a *upstream.Account, v reflect.Value, path string) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				walk(a, v.Field(i), path+"."+v.Type().Field(i).Name)
			}
			return
		}
		fields++
		var before upstream.Account
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(1)
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"x"}))
		default:
			t.Fatalf("%s: a setting of kind %v", path, v.Kind())
		}
		want := fingerprint(before) == fingerprint(*a)
		if sameSettings(&before, a) != want || sameSettings(a, &before) != want {
			t.Errorf("%s: the same is not %v", path, want)
		}
		v.SetZero()
		if !sameSettings(&before, a) {
			t.Errorf("%s: not the same when nothing changed", path)
		}
	}
	var a upstream.Account
	walk(&a, reflect.ValueOf(&a).Elem(), "Account")
	if fields < 30 {
		t.Errorf("%d fields", fields)
	}
}
