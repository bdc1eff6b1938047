module sluice.bench/small_files

go 1.22
