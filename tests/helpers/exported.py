"""The exports of each compiled module to the others in C: the `cdef` functions and variables in its `.pxd`.

A call of one of them from another module goes through a pointer and cannot be inlined. So a function that a hot path
calls stands in a `.pxd` as `inline`, or in the module that calls it. tests/test_layers.py compares this list with the
modules.
"""

#: Each module, and its exports.
EXPORTED = {
    "hub.all_loops": [
        "add_loop", "first_loop", "next_loop_descriptor", "remove_loop", "watched_end", "withdraw_elsewhere",
        "withdraw_watch",
    ],
    "hub.arguments": ["count_of", "seconds_of"],
    "hub.closing": ["closing_descriptor", "leaving_descriptor"],
    "hub.current": [
        "begin_fork", "end_process", "fork_count", "hub_of_thread", "interpreter_ends", "is_main_thread", "new_hub",
        "other_threads", "raise_no_greenlet", "set_hub_of_thread",
    ],
    "hub.scheduler": ["be_fair", "resume_of"],
    "hub.stacks": ["begin_small"],
    "hub.threads": ["forget_hub", "other_hubs"],
    "hub.thrown": [
        "alarm_cancel", "alarm_carry_out", "alarm_start", "alarms_restart", "drop_pending", "exception_of",
        "forget_exception", "has_pending", "make_exception", "pend_alarm", "pend_exception", "take_alarm",
        "take_pending", "throw_now", "without_frames",
    ],
    "hub.timers": ["clock", "end_sleep_by", "free_timers", "make_timers", "nanoseconds_of"],
    "hub.wait_queue": [
        "await_final_turn", "await_turn", "line_grant", "line_grant_all", "line_join", "line_peek", "line_take",
        "line_wake", "line_withdraw", "link_grant", "new_turn", "wait_is_over",
    ],
    "greenio._descriptors.endpoint": ["endpoint_of"],
    "greenio._descriptors.transfer": ["scratch_buffer"],
    "greenio._sync.containers": ["check_seconds", "failure_of"],
    "greenio._tasks.link_list": [
        "check_link", "count_links", "find_link", "link_on_hub", "schedule_link", "tell_links", "with_link",
        "without_link",
    ],
    "greenio._tasks.spawn_place": ["format_place", "frames_of", "stack_limit", "track_tree"],
    "greenio._wsgi.response": ["check_status", "current_date", "render_fields"],
}  # fmt: skip
