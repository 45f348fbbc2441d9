#include <stdlib.h>

int melon_gtk_start(const char *dir);
int melon_xembed_tray(void);
