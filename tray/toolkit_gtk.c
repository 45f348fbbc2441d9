//go:build linux && gtk

#include "toolkit_gtk.h"

#include <gdk/gdkx.h>
#include <gio/gio.h>
#include <gtk/gtk.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char icon_dir[4096];

/* Called by Xlib when the display is gone, after which Xlib ends the process:
 * say so, take the icon file away, and end with a status that a supervisor
 * takes for a failure. */
static int display_gone(Display *display)
{
	GDir *dir = g_dir_open(icon_dir, 0, NULL);
	const char *name;
	(void)display;
	while (dir && (name = g_dir_read_name(dir))) {
		char *path = g_build_filename(icon_dir, name, NULL);
		unlink(path);
		g_free(path);
	}
	rmdir(icon_dir);
	fputs("melon-tray: the desktop went away: the display ended\n", stderr);
	fflush(stderr);
	_exit(1);
}

/* melon_gtk_start starts GTK and takes the two ways away in which it would end
 * the process by itself. It returns 0 when there is no display. */
int melon_gtk_start(const char *dir)
{
	GDBusConnection *bus;
	strncpy(icon_dir, dir, sizeof icon_dir - 1);
	if (!gtk_init_check(NULL, NULL))
		return 0;
	XSetIOErrorHandler(display_gone);
	/* GDBus raises SIGTERM when the session bus ends, unless told not to. The
	 * connection is one for the whole process, and this reference keeps it. */
	bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
	if (bus)
		g_dbus_connection_set_exit_on_close(bus, FALSE);
	return 1;
}

/* melon_xembed_tray tells whether a panel of the old kind owns the tray. */
int melon_xembed_tray(void)
{
	Display *x;
	int found = 0;
	if (!(x = XOpenDisplay(NULL)))
		return 0;
	found = XGetSelectionOwner(x, XInternAtom(x, "_NET_SYSTEM_TRAY_S0", False)) != None;
	XCloseDisplay(x);
	return found;
}
