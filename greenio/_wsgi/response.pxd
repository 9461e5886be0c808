# See response.pyx.

cpdef bytes current_date()
cpdef tuple check_status(status)
cpdef tuple render_fields(headers, bint upgrades)
