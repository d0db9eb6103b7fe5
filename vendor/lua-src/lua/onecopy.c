/*
** Onecopy: the libraries that scripts do not have.
** See Copyright Notice in lua.h
*/

#include "lua.h"

#include "lauxlib.h"
#include "lualib.h"

LUALIB_API int luaopen_package (lua_State *L) { (void)L; return 0; }
LUALIB_API int luaopen_io (lua_State *L) { (void)L; return 0; }
LUALIB_API int luaopen_os (lua_State *L) { (void)L; return 0; }
