"""Classes of other counters over fxcost's engine: change the import, keep the code.

=====================================  ==================================================
of                                     import from
=====================================  ==================================================
torch.utils.flop_counter               ``fxcost.compat.flop_counter``
fvcore.nn                              ``fxcost.compat.fvcore``
torch_flops                            ``fxcost.compat.torch_flops``
flops_profiler.profiler                ``fxcost.compat.flops_profiler``
calflops                               ``fxcost.compat.calflops``
torch.profiler                         ``fxcost.compat.profiler`` (the table of a report)
=====================================  ==================================================

Counters count under the convention of their tool (``fxcost conventions``), so the numbers are those of the tool; what
the tool leaves out can be asked for. The profiler's table shows fxcost's own counts and predicted times.
"""
