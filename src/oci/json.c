/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Strict reading of JSON with jansson. */
#include "oci/json.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Levels of nesting in bytes that may be anything: brackets outside of strings. */
static bool is_deeper(const char *data, size_t size, unsigned int depth)
{
	unsigned int level = 0;
	bool in_text = false;

	for (size_t i = 0; i < size; i++) {
		char c = data[i];

		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
		} else if (c == '"') {
			in_text = true;
		} else if (c == '{' || c == '[') {
			if (++level > depth)
				return true;
		} else if ((c == '}' || c == ']') && level) {
			level--;
		}
	}
	return false;
}

int json_read(const void *data, size_t size, unsigned int depth, const char *what, json_t **ret,
	      struct cairn_error *err)
{
	json_error_t why;
	json_t *root;

	if (is_deeper((const char *)data, size, depth))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: JSON nested deeper than %u",
				 what, depth);
	root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &why);
	if (!root) {
		char words[300];

		error_quote(why.text, strlen(why.text), words, sizeof(words));
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "%s: not JSON: line %d column %d: %s", what, why.line, why.column,
				 words);
	}
	if (!json_is_object(root)) {
		json_decref(root);
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: not a JSON object", what);
	}
	*ret = root;
	return 0;
}

int json_check_names(const json_t *object, const char *const *known, const char *what,
		     struct cairn_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		for (size_t i = 0; known[i]; i++) {
			if (!strcmp(name, known[i]))
				break;
			if (!strcasecmp(name, known[i]))
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "%s: '%s' differs only in case from '%s'", what,
						 name, known[i]);
		}
	}
	return 0;
}

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	default:
		return "true or false";
	}
}

static int wrong_type(const char *what, const char *name, json_type type, struct cairn_error *err)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: '%s' is not %s", what, name,
			 type_name(type));
}

int json_member(const json_t *object, const char *name, json_type type, json_t **ret,
		const char *what, struct cairn_error *err)
{
	json_t *value = json_object_get(object, name);

	if (!value || json_is_null(value))
		return 0;
	if (json_typeof(value) != type)
		return wrong_type(what, name, type, err);
	*ret = value;
	return 1;
}

int json_text(const json_t *object, const char *name, const char **ret, const char *what,
	      struct cairn_error *err)
{
	json_t *value;
	int r = json_member(object, name, JSON_STRING, &value, what, err);

	if (r == 1)
		*ret = json_string_value(value);
	return r;
}

int json_size(const json_t *object, const char *name, uint64_t *ret, const char *what,
	      struct cairn_error *err)
{
	json_t *value;
	int r = json_member(object, name, JSON_INTEGER, &value, what, err);

	if (r == 1 && json_integer_value(value) < 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: '%s' is negative", what,
				 name);
	if (r == 1)
		*ret = (uint64_t)json_integer_value(value);
	return r;
}

int json_bool(const json_t *object, const char *name, bool *ret, const char *what,
	      struct cairn_error *err)
{
	json_t *value = json_object_get(object, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return wrong_type(what, name, JSON_TRUE, err);
	*ret = json_is_true(value);
	return 1;
}
