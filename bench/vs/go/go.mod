module sluice/bench/vs/go

go 1.25
