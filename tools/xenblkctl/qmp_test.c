/* SPDX-License-Identifier: BSD-2-Clause */
#include "qmp.h"

#include <string.h>

#include "tap.h"

static const char two_disks[] =
	"[ { \"devid\": 51712, \"read_only\": false, \"stats\": { \"reads\": 3, \"writes\": 2,"
	" \"flushes\": 1, \"bytes_read\": 12288, \"bytes_written\": 1024 } },"
	" { \"devid\": 51728, \"read_only\": true, \"stats\": {} } ]";

/* What is answered, in one line. */
static void answers(const char *command, const char *wanted)
{
	struct json_object *asked = json_tokener_parse(command);
	struct json_object *disks = json_tokener_parse(two_disks);
	struct json_object *answer = qmp_answer(asked, disks);
	const char *got = json_object_to_json_string_ext(
		answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	bool same = !strcmp(got, wanted);

	if (!same)
		printf("# it answers %s\n", got);
	json_object_put(answer);
	json_object_put(disks);
	json_object_put(asked);
	check(same);
}

static void greets_as_qemu_does(void)
{
	struct json_object *greeting = qmp_greeting(), *qmp, *version;
	bool has = json_object_object_get_ex(greeting, "QMP", &qmp) &&
		   json_object_object_get_ex(qmp, "version", &version);

	json_object_put(greeting);
	check(has);
}

static void has_no_capabilities(void)
{
	answers("{ \"execute\": \"qmp_capabilities\" }", "{\"return\":{}}");
}

static void counts_of_each_disk(void)
{
	answers("{ \"execute\": \"query-blockstats\" }",
		"{\"return\":[{\"device\":\"51712\",\"stats\":{\"rd_bytes\":12288,\"wr_bytes\":"
		"1024,"
		"\"rd_operations\":3,\"wr_operations\":2,\"flush_operations\":1}},"
		"{\"device\":\"51728\",\"stats\":{\"rd_bytes\":0,\"wr_bytes\":0,"
		"\"rd_operations\":0,\"wr_operations\":0,\"flush_operations\":0}}]}");
}

static void file_of_a_disk_is_its_number(void)
{
	answers("{ \"execute\": \"query-block\" }",
		"{\"return\":[{\"device\":\"51712\",\"inserted\":{\"file\":\"/"
		"51712\",\"ro\":false}},"
		"{\"device\":\"51728\",\"inserted\":{\"file\":\"/51728\",\"ro\":true}}]}");
}

static void an_id_comes_back(void)
{
	answers("{ \"execute\": \"qmp_capabilities\", \"id\": 7 }", "{\"return\":{},\"id\":7}");
}

static void other_commands_are_not_there(void)
{
	answers("{ \"execute\": \"quit\" }", "{\"error\":{\"class\":\"CommandNotFound\","
					     "\"desc\":\"The command quit has not been found\"}}");
}

static void what_is_no_command_is_none(void)
{
	static const char wanted[] = "{\"error\":{\"class\":\"CommandNotFound\","
				     "\"desc\":\"The command  has not been found\"}}";

	answers("{ \"arguments\": 1 }", wanted);
	answers("[ 1, 2 ]", wanted);
	answers("null", wanted);
}

int main(void)
{
	tap_run(greets_as_qemu_does);
	tap_run(has_no_capabilities);
	tap_run(counts_of_each_disk);
	tap_run(file_of_a_disk_is_its_number);
	tap_run(an_id_comes_back);
	tap_run(other_commands_are_not_there);
	tap_run(what_is_no_command_is_none);
	return tap_end();
}
